package rectify

import (
	"bufio"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// Frames that may wait for a slow reader before whoever makes more has to wait.
	waitingFramesMax = 256
	// Log records and bytes of them a second; more are counted, not sent.
	logRecordsPerSecond = 1_000
	logBytesPerSecond   = 1024 * 1024
)

// notifier is the way out: one goroutine writes frames, so that they never mix, and
// flushes when nothing waits.
type notifier struct {
	lines  chan []byte
	broken chan struct{}
	ended  chan struct{}
	once   sync.Once
	hides  atomic.Pointer[redaction]

	mutex   sync.Mutex
	since   time.Time
	records int
	bytes   int
	dropped int
}

func startNotifier(w io.Writer, onFailure func()) *notifier {
	n := &notifier{
		lines:  make(chan []byte, waitingFramesMax),
		broken: make(chan struct{}),
		ended:  make(chan struct{}),
	}
	go func() {
		defer close(n.ended)
		if n.write(w) != nil {
			n.stop()
			onFailure()
		}
	}()
	return n
}

// stop makes everybody who sends go on without sending.
func (n *notifier) stop() { n.once.Do(func() { close(n.broken) }) }

func (n *notifier) write(w io.Writer) error {
	out := bufio.NewWriterSize(w, 64*1024)
	// An empty line first: what a login shell printed without a newline ends here.
	if _, err := out.WriteString("\n"); err != nil {
		return err
	}
	for {
		var line []byte
		select {
		case line = <-n.lines:
		default:
			if err := out.Flush(); err != nil {
				return err
			}
			line = <-n.lines
		}
		if line == nil {
			return out.Flush()
		}
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
}

// line sends a line as it is.
func (n *notifier) line(line []byte) {
	select {
	case n.lines <- line:
	case <-n.broken:
	}
}

// finish waits a while until all that was sent has left.
func (n *notifier) finish(longest time.Duration) {
	timer := time.NewTimer(longest)
	defer timer.Stop()
	select {
	case n.lines <- nil:
	case <-n.broken:
	case <-timer.C:
	}
	select {
	case <-n.ended:
	case <-timer.C:
	}
	n.stop()
}

// clean is a text without values of secrets.
func (n *notifier) clean(text string) string { return valid(n.hides.Load().text(text)) }

// log sends a record, unless there were too many of them in this second.
func (n *notifier) log(level, message string) {
	message = n.clean(message)
	n.mutex.Lock()
	if now := time.Now(); now.Sub(n.since) >= time.Second {
		n.since, n.records, n.bytes = now, 0, 0
	}
	if n.records >= logRecordsPerSecond || n.bytes+len(message) > logBytesPerSecond {
		n.dropped++
		n.mutex.Unlock()
		return
	}
	n.records++
	n.bytes += len(message)
	dropped := n.dropped
	n.dropped = 0
	n.mutex.Unlock()
	if dropped > 0 {
		text := fmt.Sprintf("%d log records were dropped: too many in a second", dropped)
		n.line(notificationLine("$/log", obj{{"level", "warn"}, {"message", text}}))
	}
	n.line(notificationLine("$/log", obj{{"level", level}, {"message", message}}))
}
