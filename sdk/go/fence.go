package rectify

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// The fence where the write lands: a run that lost its lease writes nothing after
// the run that came after it began to, however long it was stopped in between.
//
// In the session's state directory, which is that of one target: `fence` holds the
// highest fence seen. Whoever acts under fence N holds a shared lock on `acting-N`
// from before it reads `fence` until it is done. A higher fence is recorded,
// durably, before anything is done under it; from then on nobody begins anything
// under a lower one. What began before is waited for, by the exclusive lock on each
// lower `acting-N`, which is then removed. The locks end with the process.

const (
	// Longest wait for what is still being done under a lower fence.
	fenceWaitMax = 10 * time.Second
	fencePoll    = 5 * time.Millisecond
	fenceName    = "fence"
	raisingName  = "fence.lock"
	actingPrefix = "acting-"
)

// alone is the highest fence under which this session found nothing else going on.
type alone struct{ fence atomic.Uint64 }

func busy(format string, args ...any) *Error {
	return Errorf(CodeBusy, format, args...)
}

// enterFence begins an operation; the file that it returns is closed when it is done.
func enterFence(cx *Cx, fence uint64, limit time.Duration) (*os.File, *Error) {
	dir := cx.settings.dirs.State
	if dir == "" {
		return nil, Errorf(CodeUnsupported,
			"an operation needs a directory for its fence and its ledger, and this session has none")
	}
	if limit > fenceWaitMax {
		limit = fenceWaitMax
	}
	deadline := time.Now().Add(limit)
	acting, err := openLock(filepath.Join(dir, actingPrefix+strconv.FormatUint(fence, 10)))
	if err != nil {
		return nil, cannot("the fence cannot be used", err)
	}
	if failed := awaitFence(cx, acting, dir, fence, deadline); failed != nil {
		acting.Close()
		return nil, failed
	}
	return acting, nil
}

func awaitFence(cx *Cx, acting *os.File, dir string, fence uint64, deadline time.Time) *Error {
	for {
		// First say that something is being done, then compare: whoever records a higher
		// fence and does not see this lock is seen here.
		locked, err := tryLock(acting, syscall.LOCK_SH)
		if err != nil {
			return cannot("the fence cannot be used", err)
		}
		highest, failed := highestFence(dir)
		if failed != nil {
			return failed
		}
		if highest > fence {
			return Errorf(CodeConflict, "a run with fence %d came after this one, which has fence %d", highest, fence).
				WithHint("another run took over; see what it did, and make a new plan if something is left to do")
		}
		if highest < fence {
			if failed := raiseFence(dir, fence, deadline); failed != nil {
				return failed
			}
			continue
		}
		if locked {
			break
		}
		if !time.Now().Before(deadline) || cx.Cancelled() {
			return busy("another run is taking over from this one").WithHint("try again")
		}
		// For a moment, by a process that is being made where a higher fence waited.
		time.Sleep(fencePoll)
	}
	// Fence 0 is the highest where none was recorded, and nothing is beneath it.
	if fence != 0 && cx.settings.alone.fence.Load() != fence {
		if failed := waitForLower(cx, dir, fence, deadline); failed != nil {
			return failed
		}
		cx.settings.alone.fence.Store(fence)
	}
	return nil
}

func openLock(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
}

func highestFence(dir string) (uint64, *Error) {
	content, err := readIfExists(filepath.Join(dir, fenceName))
	if err != nil {
		return 0, cannot("the fence cannot be read", err)
	}
	if content == nil {
		return 0, nil
	}
	// A fence that cannot be read could be any, so nothing is done.
	fence, err := strconv.ParseUint(strings.TrimSpace(string(content)), 10, 64)
	if err != nil {
		return 0, cannot("the recorded fence cannot be read", err)
	}
	return fence, nil
}

// raiseFence records a higher fence. Somebody else may have recorded a yet higher one meanwhile.
func raiseFence(dir string, fence uint64, deadline time.Time) *Error {
	const what = "the fence cannot be recorded"
	lock, err := openLock(filepath.Join(dir, raisingName))
	if err != nil {
		return cannot(what, err)
	}
	defer lock.Close()
	got, err := exclusive(lock, deadline, func() bool { return false })
	if err != nil {
		return cannot(what, err)
	}
	if !got {
		return busy("another run is taking over").WithHint("try again")
	}
	highest, failed := highestFence(dir)
	if failed != nil || highest >= fence {
		return failed
	}
	if err := replace(dir, fenceName, []byte(fmt.Sprintf("%d\n", fence))); err != nil {
		return cannot(what, err)
	}
	return nil
}

// waitForLower waits until nothing is done under a lower fence.
func waitForLower(cx *Cx, dir string, fence uint64, deadline time.Time) *Error {
	const what = "what another run is doing cannot be seen"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return cannot(what, err)
	}
	for _, entry := range entries {
		digits := strings.TrimPrefix(entry.Name(), actingPrefix)
		lower, err := strconv.ParseUint(digits, 10, 64)
		if err != nil || digits == entry.Name() || lower >= fence {
			continue
		}
		if failed := waitForOne(cx, filepath.Join(dir, entry.Name()), lower, deadline); failed != nil {
			return failed
		}
	}
	return nil
}

func waitForOne(cx *Cx, path string, lower uint64, deadline time.Time) *Error {
	const what = "what another run is doing cannot be seen"
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return cannot(what, err)
	}
	defer file.Close()
	got, err := exclusive(file, deadline, cx.Cancelled)
	if err != nil {
		return cannot(what, err)
	}
	if !got {
		return busy("an operation of an earlier run, with fence %d, is still being carried out", lower).
			WithHint("wait until it ends, or end its process")
	}
	// Whoever opens or holds it from now on reads the higher fence.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return cannot(what, err)
	}
	return nil
}

// exclusive takes a lock that others may hold for a while, and says whether that came true in time.
func exclusive(file *os.File, deadline time.Time, cancelled func() bool) (bool, error) {
	for {
		got, err := tryLock(file, syscall.LOCK_EX)
		if got || err != nil {
			return got, err
		}
		if !time.Now().Before(deadline) || cancelled() {
			return false, nil
		}
		time.Sleep(fencePoll)
	}
}
