package rectify

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// Running commands: bounded in time and output, in a process group of their own,
// with an environment that is made and not inherited.

const (
	// SearchPath is where programs without a slash in their name are searched, and
	// the PATH of every command.
	SearchPath = "/usr/sbin:/usr/bin:/sbin:/bin"
	// OutputTailBytes is how much of each output stream is kept: its last bytes.
	OutputTailBytes = 64 * 1024
	// Time between the polite and the impolite end.
	terminateGrace = 5 * time.Second
	// How long output is awaited after the command ended, while something in the
	// background may still hold its pipe.
	outputGrace = 500 * time.Millisecond
	// Shorter texts of standard input would blot out everything.
	blotMinBytes = 6
)

// Command is a command to run.
type Command struct {
	// Argv is the program and its arguments. The program is absolute, or a bare name in SearchPath.
	Argv []string
	// Env are variables beside PATH, LANG=C.UTF-8, RECTIFY_ROOT with a root directory,
	// and RECTIFY_OPERATION in an operation, which cannot be replaced.
	Env map[string]string
	// Dir is the working directory, a real path; `/` by default.
	Dir string
	// User runs it; nil: whoever the provider is.
	User *User
	// Stdin is the text for its standard input. It is the way for secrets to get into
	// a command: no line of it comes out with the output.
	Stdin string
	// Timeout is the longest time for it; never more than is left of the request's.
	Timeout time.Duration
}

// Ended is how a command ended.
type Ended string

// By itself; by a signal that we did not send; by us at the deadline; by us because
// the request was cancelled.
const (
	Exited    Ended = "exited"
	Signalled Ended = "signalled"
	TimedOut  Ended = "timed out"
	Stopped   Ended = "cancelled"
)

// Finished is what came of a command that was started.
type Finished struct {
	Ended Ended
	// Code is the exit code, or the number of the signal.
	Code int
	// Output is what it printed.
	Output Output
}

// Ok says whether it exited with 0.
func (f *Finished) Ok() bool { return f.Ended == Exited && f.Code == 0 }

// Err is nil where it exited with 0, and otherwise says what happened.
func (f *Finished) Err() error {
	last := lastLine(f.Output.Stderr)
	if last != "" {
		last = ": " + last
	}
	switch {
	case f.Ok():
		return nil
	case f.Ended == TimedOut:
		return Errorf(CodeTimeout, "the command did not end in time%s", last)
	case f.Ended == Stopped:
		return Errorf(CodeCancelled, "the command was cancelled%s", last)
	case f.Ended == Signalled:
		return Errorf(CodeFailed, "the command was ended by signal %d%s", f.Code, last)
	}
	return Errorf(CodeFailed, "the command exited with %d%s", f.Code, last)
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return short(strings.TrimSpace(lines[len(lines)-1]))
}

// Run runs a command to its end, to its deadline, or until the request is cancelled;
// then its process group gets TERM, and KILL five seconds later. An error says that
// it could not be started and did nothing; how it ended is in the result.
func (cx *Cx) Run(command Command) (*Finished, error) {
	cmd, err := cx.prepare(command)
	if err != nil {
		return nil, err
	}
	stdout, stderr := newTail(), newTail()
	var ends []*os.File
	for _, pipe := range []struct {
		tail *tail
		into *io.Writer
	}{{stdout, &cmd.Stdout}, {stderr, &cmd.Stderr}} {
		read, write, err := os.Pipe()
		if err != nil {
			return nil, cannot("no pipe can be made", err)
		}
		*pipe.into = write
		ends = append(ends, write)
		go pipe.tail.gather(read)
	}
	var input *os.File
	if command.Stdin != "" {
		read, write, err := os.Pipe()
		if err != nil {
			closeAll(ends)
			return nil, cannot("no pipe can be made", err)
		}
		cmd.Stdin, input = read, write
		ends = append(ends, read)
	}
	err = cmd.Start()
	closeAll(ends)
	if err != nil {
		if input != nil {
			input.Close()
		}
		return nil, startError(cmd.Path, err)
	}
	if input != nil {
		go func() {
			// A command that reads nothing breaks the pipe, as it may.
			input.WriteString(command.Stdin)
			input.Close()
		}()
	}
	deadline := cx.deadline
	if command.Timeout > 0 {
		if own := time.Now().Add(command.Timeout); own.Before(deadline) {
			deadline = own
		}
	}
	finished, err := cx.attend(cmd, deadline, stdout, stderr)
	if err != nil {
		return nil, err
	}
	awaitAll(outputGrace, stdout.ended, stderr.ended)
	out, cutOut := stdout.text()
	errors, cutErrors := stderr.text()
	finished.Output.Stdout = cx.settings.hides.text(blotOut(out, cutOut, command.Stdin))
	finished.Output.Stderr = cx.settings.hides.text(blotOut(errors, cutErrors, command.Stdin))
	finished.Output.Truncated = cutOut || cutErrors
	return finished, nil
}

func closeAll(files []*os.File) {
	for _, file := range files {
		file.Close()
	}
}

func startError(program string, err error) error {
	code := CodeFailed
	switch {
	case errors.Is(err, fs.ErrPermission):
		code = CodePermission
	case errors.Is(err, fs.ErrNotExist):
		code = CodeDependency
	}
	return Errorf(code, "`%s` cannot be started: %v", program, err)
}

func (cx *Cx) prepare(command Command) (*exec.Cmd, error) {
	if len(command.Argv) == 0 {
		return nil, Errorf(CodeSchema, "an argv has at least the program")
	}
	program, err := findProgram(command.Argv[0])
	if err != nil {
		return nil, err
	}
	env := []string{"PATH=" + SearchPath, "LANG=C.UTF-8"}
	if cx.settings.root != "" {
		env = append(env, "RECTIFY_ROOT="+cx.settings.root)
	}
	names := make([]string, 0, len(command.Env))
	for name := range command.Env {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		env = append(env, name+"="+command.Env[name])
	}
	// Last, so that no step can pass for another operation: of two the last one counts.
	if mark := cx.Mark(); mark != "" {
		env = append(env, mark)
	}
	attributes := &syscall.SysProcAttr{Setpgid: true}
	if user := command.User; user != nil && (os.Geteuid() == 0 || uint32(os.Getuid()) != user.UID) {
		attributes.Credential = &syscall.Credential{Uid: user.UID, Gid: user.GID, Groups: user.Groups}
	}
	dir := command.Dir
	if dir == "" {
		dir = "/"
	}
	return &exec.Cmd{Path: program, Args: command.Argv, Env: env, Dir: dir, SysProcAttr: attributes}, nil
}

func findProgram(name string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	if name == "" || strings.Contains(name, "/") {
		return "", Errorf(CodeSchema, "the program `%s` is neither absolute nor a bare name", name)
	}
	for _, dir := range filepath.SplitList(SearchPath) {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", Errorf(CodeDependency, "there is no program `%s` in %s", name, SearchPath)
}

// attend waits for the end, and makes one if it is due.
func (cx *Cx) attend(cmd *exec.Cmd, deadline time.Time, stdout, stderr *tail) (*Finished, error) {
	pid := cmd.Process.Pid
	exited := make(chan struct{})
	go func() {
		waitUnreaped(pid)
		close(exited)
	}()
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	reason := Exited
	select {
	case <-exited:
	case <-cx.cancelled:
		reason = Stopped
	case <-timer.C:
		reason = TimedOut
	}
	if reason != Exited {
		// Until it is reaped below, the number of the group cannot be given to another.
		syscall.Kill(-pid, syscall.SIGTERM)
		awaitAll(terminateGrace, exited, stdout.ended, stderr.ended)
		syscall.Kill(-pid, syscall.SIGKILL)
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, unknown("the command cannot be waited for: %v", err)
	}
	if reason != Exited {
		return &Finished{Ended: reason}, nil
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok {
		return nil, unknown("nothing says how the command ended")
	}
	if status.Signaled() {
		return &Finished{Ended: Signalled, Code: int(status.Signal())}, nil
	}
	code := status.ExitStatus()
	return &Finished{Ended: Exited, Code: code, Output: Output{ExitCode: &code}}, nil
}

// awaitAll waits for all of these, but not longer than that in all.
func awaitAll(longest time.Duration, all ...<-chan struct{}) {
	timer := time.NewTimer(longest)
	defer timer.Stop()
	for _, one := range all {
		select {
		case <-one:
		case <-timer.C:
			return
		}
	}
}

// waitUnreaped waits until a process has ended, and leaves its number to it.
func waitUnreaped(pid int) {
	const byPID, whenExited, unreaped = 1, 4, 0x1000000
	var info [16]uint64
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, byPID, uintptr(pid),
			uintptr(unsafe.Pointer(&info[0])), whenExited|unreaped, 0, 0)
		if errno != syscall.EINTR {
			return
		}
	}
}

// tail is the last bytes of a stream.
type tail struct {
	mutex sync.Mutex
	kept  []byte
	cut   bool
	ended chan struct{}
}

func newTail() *tail { return &tail{ended: make(chan struct{})} }

func (t *tail) gather(pipe *os.File) {
	defer close(t.ended)
	defer pipe.Close()
	buffer := make([]byte, 16*1024)
	for {
		n, err := pipe.Read(buffer)
		t.mutex.Lock()
		t.kept = append(t.kept, buffer[:n]...)
		if surplus := len(t.kept) - OutputTailBytes; surplus > 0 {
			t.kept = append(t.kept[:0:0], t.kept[surplus:]...)
			t.cut = true
		}
		t.mutex.Unlock()
		if err != nil {
			return
		}
	}
}

// text is what is kept, and whether there was or may be more.
func (t *tail) text() (string, bool) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	select {
	case <-t.ended:
		return valid(string(t.kept)), t.cut
	default:
		return valid(string(t.kept)), true
	}
}

// blotOut hides the lines of standard input in what came out.
func blotOut(text string, cut bool, stdin string) string {
	if stdin == "" {
		return text
	}
	if cut {
		// The first line may be the end of a secret whose beginning was cut off.
		_, text, _ = strings.Cut(text, "\n")
	}
	for _, line := range strings.Split(stdin, "\n") {
		if line = strings.TrimSpace(line); len(line) >= blotMinBytes {
			text = strings.ReplaceAll(text, line, "(standard input)")
		}
	}
	return text
}
