//! `http.get`: whether a server answers as expected. Nothing of the answer is repeated: others may
//! not be meant to read it.

use crate::{Answer, aside, file, properties};
use rectify_sdk::{
    Context,
    protocol::{ErrorCode, ItemError},
};
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    fmt,
    io::Read,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    ops::RangeInclusive,
    path::Path,
    sync::Arc,
    time::Duration,
};
use ureq::{
    Agent,
    config::Config,
    http::{HeaderName, Uri},
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};

/// Longest time for one attempt, in milliseconds.
const TIMEOUT_MAX_MS: u64 = 60_000;
/// How much of a body is searched.
const BODY_MAX_BYTES: u64 = 1024 * 1024;
/// Longest status line with all headers.
const HEADERS_MAX_BYTES: usize = 64 * 1024;
/// Most redirects that are followed.
const REDIRECTS_MAX: u32 = 10;
/// Most addresses of one host that are tried.
const ADDRESSES_MAX: usize = 16;
/// Longest address to ask.
const URL_MAX_BYTES: usize = 2048;
/// Largest pattern, once compiled.
const PATTERN_MAX_BYTES: usize = 1024 * 1024;
/// Where systems keep the certificates that they trust; the first that is there counts.
const ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

#[derive(Deserialize)]
#[serde(untagged)]
enum Status {
    One(u16),
    Range(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Properties {
    url: String,
    #[serde(default = "success")]
    status: Vec<Status>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
    #[serde(default = "five_seconds")]
    timeout_ms: u64,
    #[serde(default)]
    redirects: u32,
    address: Option<String>,
    ca_file: Option<String>,
}

fn success() -> Vec<Status> {
    vec![Status::Range("200-299".into())]
}

fn five_seconds() -> u64 {
    5_000
}

/// Where to connect instead of where the name of the address leads.
#[derive(Clone, Debug)]
struct Detour {
    host: String,
    port: u16,
    to: String,
    to_port: u16,
}

/// The question.
pub(crate) struct Get {
    url: String,
    secure: bool,
    status: Vec<RangeInclusive<u16>>,
    headers: Vec<(HeaderName, Regex)>,
    body: Option<Regex>,
    timeout_ms: u64,
    redirects: u32,
    detour: Option<Detour>,
    ca_file: Option<String>,
}

fn wrong<T>(path: &str, message: impl Into<String>) -> Result<T, ItemError> {
    Err(ItemError::new(ErrorCode::Schema, message).at(path))
}

fn pattern(text: &str, path: &str) -> Result<Regex, ItemError> {
    if text.is_empty() {
        return wrong(path, "an empty pattern matches everything");
    }
    let built = RegexBuilder::new(text).multi_line(true).size_limit(PATTERN_MAX_BYTES).build();
    built.or_else(|e| wrong(path, format!("the pattern cannot be used: {e}")))
}

fn status(status: &Status, path: &str) -> Result<RangeInclusive<u16>, ItemError> {
    let range = match status {
        Status::One(code) => Some(*code..=*code),
        Status::Range(text) => text.split_once('-').and_then(|(first, last)| {
            let code = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?;
            Some(code(first)?..=code(last)?)
        }),
    };
    match range {
        Some(range) if *range.start() >= 100 && *range.end() <= 599 && !range.is_empty() => Ok(range),
        _ => wrong(path, "a status is between 100 and 599, or a range as in `200-299`"),
    }
}

/// `host`, `host:port`, `address`, `[address]:port`.
fn detour(text: &str, host: String, port: u16) -> Result<Detour, ItemError> {
    let (to, to_port) = if let Ok(both) = text.parse::<SocketAddr>() {
        (both.ip().to_string(), both.port())
    } else if let Ok(address) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        (address.to_string(), port)
    } else {
        match text.rsplit_once(':') {
            None => (text.to_owned(), port),
            Some((name, digits)) => match digits.parse() {
                Ok(port @ 1..) => (name.to_owned(), port),
                _ => return wrong("/address", "the port is between 1 and 65535"),
            },
        }
    };
    if to.is_empty() || to.contains(['\0', ' ', '/', '@', '[', ']']) {
        return wrong("/address", "this is neither a name nor an address of a host");
    }
    Ok(Detour { host, port, to, to_port })
}

impl Get {
    pub(crate) fn read(desired: &Map<String, Value>) -> Result<Self, ItemError> {
        let it: Properties = properties(desired)?;
        let strange = |c: char| c.is_whitespace() || c.is_control();
        if it.url.len() > URL_MAX_BYTES || it.url.contains(strange) {
            return wrong("/url", "an address has at most 2048 bytes, and no blanks");
        }
        let Ok(uri) = it.url.parse::<Uri>() else { return wrong("/url", "this is no address") };
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return wrong("/url", "an address begins with `http://` or `https://`"),
        };
        let Some(host) = uri.host().filter(|host| !host.is_empty()) else {
            return wrong("/url", "the address names no host");
        };
        if it.url.contains('#') || uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return wrong("/url", "an address holds neither a user nor a fragment (`#`)");
        }
        if uri.port_u16() == Some(0) || uri.authority().is_some_and(|a| a.as_str().ends_with(':')) {
            return wrong("/url", "the port is between 1 and 65535");
        }
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        if it.status.is_empty() {
            return wrong("/status", "without a status the answer could never be yes");
        }
        if !(1..=TIMEOUT_MAX_MS).contains(&it.timeout_ms) {
            return wrong("/timeout_ms", "the time is between 1 and 60000 milliseconds");
        }
        if it.redirects > REDIRECTS_MAX {
            return wrong("/redirects", "at most 10 redirects are followed");
        }
        if it.ca_file.as_ref().is_some_and(|path| !path.starts_with('/') || path.contains('\0')) {
            return wrong("/ca_file", "the path is not absolute");
        }
        if it.ca_file.is_some() && !secure {
            return wrong("/ca_file", "certificates need an address that begins with `https://`");
        }
        let header = |(name, text): (&String, &String)| {
            let place = format!("/headers/{}", name.replace('~', "~0").replace('/', "~1"));
            match HeaderName::from_bytes(name.as_bytes()) {
                Ok(header) => Ok((header, pattern(text, &place)?)),
                Err(_) => wrong(&place, "no header is called so"),
            }
        };
        Ok(Self {
            secure,
            status: it
                .status
                .iter()
                .enumerate()
                .map(|(index, it)| status(it, &format!("/status/{index}")))
                .collect::<Result<_, _>>()?,
            headers: it.headers.iter().map(header).collect::<Result<_, _>>()?,
            body: it.body.as_deref().map(|text| pattern(text, "/body")).transpose()?,
            timeout_ms: it.timeout_ms,
            redirects: it.redirects,
            detour: it.address.as_deref().map(|text| detour(text, host.to_owned(), port)).transpose()?,
            ca_file: it.ca_file,
            url: it.url,
        })
    }

    pub(crate) fn ask(&self, cx: &Context) -> Answer {
        let roots = if self.secure { Some(self.roots(cx.root())?) } else { None };
        let request = Request {
            agent: self.agent(roots),
            url: self.url.clone(),
            status: self.status.clone(),
            headers: self.headers.clone(),
            body: self.body.clone(),
        };
        let time = Duration::from_millis(self.timeout_ms);
        // A name is resolved and a connection made where neither can be interrupted.
        match aside::run(cx, time, move || request.send())? {
            Some((ok, what)) => Ok((ok, format!("{} {what}", self.url))),
            None => Ok((false, format!("{} did not answer within {} ms", self.url, self.timeout_ms))),
        }
    }

    fn roots(&self, root: Option<&Path>) -> Result<RootCerts, ItemError> {
        let missing = |what: String| {
            let error = ItemError::new(ErrorCode::Dependency, what);
            Err(error.at(if self.ca_file.is_some() { "/ca_file" } else { "/url" }))
        };
        let (path, pem) = match &self.ca_file {
            Some(path) => (path.as_str(), file::read(root, path, "/ca_file")?),
            None => {
                let mut found = ("", None);
                for path in ROOTS {
                    if let Some(pem) = file::read(root, path, "/url")? {
                        found = (path, Some(pem));
                        break;
                    }
                }
                found
            }
        };
        let Some(pem) = pem else {
            return missing(match &self.ca_file {
                Some(path) => format!("{path} does not exist"),
                None => {
                    "the certificates that the system trusts are not found; name them with `ca_file`".into()
                }
            });
        };
        let mut certificates: Vec<Certificate<'static>> = Vec::new();
        for item in parse_pem(&pem) {
            match item {
                Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
                Ok(_) => {}
                Err(_) => return missing(format!("{path} is not readable as PEM")),
            }
        }
        if certificates.is_empty() {
            return missing(format!("{path} holds no certificate"));
        }
        Ok(RootCerts::Specific(Arc::new(certificates)))
    }

    fn agent(&self, roots: Option<RootCerts>) -> Agent {
        let mut tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
        if let Some(roots) = roots {
            tls = tls.root_certs(roots);
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // What is asked safely is not answered from somewhere else.
            .https_only(self.secure)
            .tls_config(tls.build())
            // Not from the environment either.
            .proxy(None)
            .max_redirects(self.redirects)
            .max_redirects_will_error(self.redirects > 0)
            .max_response_header_size(HEADERS_MAX_BYTES)
            .user_agent("rectify")
            .timeout_global(Some(Duration::from_millis(self.timeout_ms)))
            .max_idle_connections(0)
            .build();
        let resolver = Names { detour: self.detour.clone(), usual: DefaultResolver::default() };
        Agent::with_parts(config, DefaultConnector::new(), resolver)
    }
}

/// Finds the addresses of hosts, but for the one that is asked elsewhere.
#[derive(Debug)]
struct Names {
    detour: Option<Detour>,
    usual: DefaultResolver,
}

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        match &self.detour {
            Some(detour) if uri.host() == Some(detour.host.as_str()) && port == detour.port => {
                let mut found = self.empty();
                for address in (detour.to.as_str(), detour.to_port).to_socket_addrs()?.take(ADDRESSES_MAX) {
                    found.push(address);
                }
                if found.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(found) }
            }
            _ => self.usual.resolve(uri, config, timeout),
        }
    }
}

struct Request {
    agent: Agent,
    url: String,
    status: Vec<RangeInclusive<u16>>,
    headers: Vec<(HeaderName, Regex)>,
    body: Option<Regex>,
}

impl Request {
    fn send(self) -> (bool, String) {
        let mut response = match self.agent.get(&self.url).call() {
            Ok(response) => response,
            Err(error) => return (false, no_answer(&error)),
        };
        let status = response.status().as_u16();
        if !self.status.iter().any(|range| range.contains(&status)) {
            return (false, format!("answered with status {status}"));
        }
        for (name, pattern) in &self.headers {
            let mut values = response.headers().get_all(name).iter();
            if !values.any(|value| pattern.is_match(&String::from_utf8_lossy(value.as_bytes()))) {
                return (
                    false,
                    format!("answered with status {status}, but its header `{name}` does not match"),
                );
            }
        }
        if let Some(pattern) = &self.body {
            let mut body = Vec::new();
            let reader = response.body_mut().with_config().limit(u64::MAX).reader();
            if let Err(error) = reader.take(BODY_MAX_BYTES).read_to_end(&mut body) {
                return (
                    false,
                    format!("answered with status {status}, but its body cannot be read: {error}"),
                );
            }
            if !pattern.is_match(&String::from_utf8_lossy(&body)) {
                let where_ =
                    if body.len() as u64 >= BODY_MAX_BYTES { " in its first 1048576 bytes" } else { "" };
                return (
                    false,
                    format!("answered with status {status}, but its body does not match{where_}"),
                );
            }
        }
        (true, format!("answered with status {status}"))
    }
}

fn no_answer(error: &ureq::Error) -> String {
    struct Plain<'e>(&'e ureq::Error);
    impl fmt::Display for Plain<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.0 {
                ureq::Error::Io(error) => write!(f, "{error}"),
                ureq::Error::Rustls(error) => write!(f, "{error}"),
                ureq::Error::HostNotFound => f.write_str("the host cannot be resolved"),
                ureq::Error::Timeout(_) => f.write_str("it took too long"),
                ureq::Error::TooManyRedirects => f.write_str("it leads on to too many others"),
                ureq::Error::RequireHttpsOnly(_) => f.write_str("it leads on to an address without TLS"),
                error => write!(f, "{error}"),
            }
        }
    }
    format!("gave no answer: {}", Plain(error))
}
