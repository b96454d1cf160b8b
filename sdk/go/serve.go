package rectify

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Wrong use of the command line.
const exitUsage = 64

// Serve is what the main of a provider calls: it does what the command line asks
// for (`serve --stdio`, `manifest`, `version`, `--selftest`, or help), and exits.
func Serve(name, version string, kinds ...Kind) {
	os.Exit(run(name, version, kinds, os.Args[1:]))
}

func run(name, version string, kinds []Kind, args []string) int {
	p, err := newProvider(name, version, kinds)
	if err != nil {
		return complain(fmt.Sprintf("this provider cannot be served: %v", err), 1)
	}
	is := func(words ...string) bool {
		if len(args) != len(words) {
			return false
		}
		for i, word := range words {
			if args[i] != word {
				return false
			}
		}
		return true
	}
	switch {
	case is("serve", "--stdio"):
		return serveStdio(p)
	case is("manifest"):
		return printAll(p.file)
	case is("version"):
		return printAll([]byte(p.name + " " + p.version + "\n"))
	case is("--selftest"):
		return selftest(p, os.Stdout)
	}
	return complain(p.help(), exitUsage)
}

// serveStdio serves one session over standard input and output, which belong to the
// protocol alone from then on: what the provider prints goes to standard error, and
// it reads an empty input.
func serveStdio(p *provider) int {
	// A man at a terminal is no engine. This is politeness, not a safeguard.
	if os.Getenv(cookieVariable) == "" {
		return complain(p.help(), exitUsage)
	}
	input, output, err := takeStreams()
	if err != nil {
		return complain(fmt.Sprintf("the standard streams cannot be used: %v", err), 1)
	}
	// A closed standard error must not end an operation half way. A handler, unlike
	// being ignored, is not handed down to commands.
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE)
	if serveStreams(p, input, output) == endShutdown {
		return 0
	}
	return 1
}

// takeStreams takes the protocol's streams away to private descriptors, which
// children do not inherit.
func takeStreams() (io.Reader, io.Writer, error) {
	private := func(fd int) (*os.File, error) {
		const firstPrivate = 3
		copied, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, firstPrivate)
		if errno != 0 {
			return nil, errno
		}
		return os.NewFile(copied, "protocol"), nil
	}
	input, err := private(0)
	if err != nil {
		return nil, nil, err
	}
	output, err := private(1)
	if err != nil {
		return nil, nil, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, nil, err
	}
	defer null.Close()
	if err := syscall.Dup3(int(null.Fd()), 0, 0); err != nil {
		return nil, nil, err
	}
	return input, output, syscall.Dup3(2, 1, 0)
}

func (p *provider) help() string {
	text := fmt.Sprintf("This is the Rectify provider `%s` %s. The engine starts it; there is nothing to do by hand.\n\n"+
		"Usage: PROVIDER manifest | version | --selftest | serve --stdio (by the engine)\n\nTypes:", p.name, p.version)
	for _, name := range sortedNames(p.kinds) {
		text += fmt.Sprintf("\n  %-20s %s", name, p.kinds[name].describe().summary)
	}
	return text
}

func sortedNames(kinds map[string]kind) []string {
	members := make(map[string]any, len(kinds))
	for name := range kinds {
		members[name] = nil
	}
	return sortedKeys(members)
}

func printAll(content []byte) int {
	if _, err := os.Stdout.Write(content); err != nil {
		return 1
	}
	return 0
}

func complain(message string, code int) int {
	// Nobody is left to tell if standard error is gone too.
	fmt.Fprintln(os.Stderr, message)
	return code
}
