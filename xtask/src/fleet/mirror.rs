//! Which Debian mirror this machine uses: what its own apt sources say.

use std::{fs, path::Path};

/// Says where to take packages from, if the machine's sources do not.
const VARIABLE: &str = "RECTIFY_FLEET_MIRROR";

/// One address that packages come from, with the suites it is used for.
#[derive(Debug, PartialEq, Eq)]
struct Source {
    uri: String,
    suites: Vec<String>,
    components: Vec<String>,
}

/// The mirror of this machine's own Debian release; all releases are on it.
pub fn of_machine() -> Result<String, String> {
    if let Some(mirror) = std::env::var_os(VARIABLE) {
        return mirror.into_string().map_err(|_| format!("{VARIABLE} is not UTF-8"));
    }
    let mut sources = Vec::new();
    let mut read = |path: &Path| {
        let text = fs::read_to_string(path).unwrap_or_default();
        match path.extension().and_then(|e| e.to_str()) {
            Some("list") => sources.extend(lines(&text)),
            Some("sources") => sources.extend(stanzas(&text)),
            _ => {}
        }
    };
    read(Path::new("/etc/apt/sources.list"));
    let directory = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
    let mut more: Vec<_> = directory.map(|entry| entry.path()).collect();
    more.sort();
    more.iter().for_each(|path| read(path));
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let codename =
        release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).unwrap_or("stable");
    choose(sources, codename.trim_matches('"')).ok_or_else(|| {
        format!(
            "no Debian mirror is in this machine's apt sources (a suite `{codename}` with `main`); \
             name one in {VARIABLE}"
        )
    })
}

fn choose(sources: Vec<Source>, codename: &str) -> Option<String> {
    let fits = |source: &Source| {
        source.suites.iter().any(|suite| suite == codename || suite == "stable")
            && source.components.iter().any(|component| component == "main")
    };
    sources.into_iter().find(fits).map(|source| source.uri)
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// `deb [options] URI SUITE COMPONENT...`, a line each.
fn lines(text: &str) -> Vec<Source> {
    let source = |line: &str| {
        let rest = line.trim().strip_prefix("deb")?;
        let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
        let rest = match rest.strip_prefix('[') {
            Some(options) => options.split_once(']')?.1,
            None => rest,
        };
        let mut rest = words(rest.split('#').next()?).into_iter();
        let (uri, suite) = (rest.next()?, rest.next()?);
        Some(Source { uri, suites: vec![suite], components: rest.collect() })
    };
    text.lines().filter_map(source).collect()
}

/// Stanzas with fields, an empty line between two.
fn stanzas(text: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for stanza in lines.split(|line| line.trim().is_empty()) {
        let field = |name: &str| {
            let mut value = String::new();
            let mut inside = false;
            for line in stanza {
                if line.starts_with([' ', '\t']) {
                    if inside {
                        value.push_str(line);
                    }
                    continue;
                }
                let (key, rest) = line.split_once(':').unwrap_or((line, ""));
                inside = key.eq_ignore_ascii_case(name);
                if inside {
                    value = rest.to_owned();
                }
            }
            words(&value)
        };
        let off = field("Enabled").first().is_some_and(|word| word == "no");
        if off || !field("Types").iter().any(|kind| kind == "deb") {
            continue;
        }
        if let Some(uri) = field("URIs").into_iter().next() {
            found.push(Source { uri, suites: field("Suites"), components: field("Components") });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{choose, lines, stanzas};

    #[test]
    fn both_forms_of_sources_are_read() {
        let list = "# deb http://commented.test/debian bookworm main\n\
                    deb-src http://source.test/debian bookworm main\n\
                    deb [signed-by=/k.gpg arch=amd64] http://other.test/tools bookworm contrib\n\
                    deb\thttp://first.test/debian bookworm main contrib # why\n";
        assert_eq!(choose(lines(list), "bookworm").as_deref(), Some("http://first.test/debian"));
        let deb822 = "Types: deb\n# URIs: http://old.test/debian\nURIs: http://m.test/debian\n\
                      Suites: bookworm bookworm-updates\nComponents: main\n\n\
                      Types: deb\nURIs: http://security.test/x\nSuites: bookworm-security\nComponents: main\n\n\
                      Enabled: no\nTypes: deb\nURIs: http://off.test/x\nSuites: trixie\nComponents: main\n\n\
                      Types: deb-src\nURIs: http://source.test/x\nSuites: trixie\nComponents: main\n\n\
                      types: deb\nuris:\n http://folded.test/debian\nsuites: trixie\ncomponents: main\n";
        assert_eq!(choose(stanzas(deb822), "bookworm").as_deref(), Some("http://m.test/debian"));
        assert_eq!(choose(stanzas(deb822), "trixie").as_deref(), Some("http://folded.test/debian"));
        assert_eq!(choose(stanzas(deb822), "buster"), None);
    }
}
