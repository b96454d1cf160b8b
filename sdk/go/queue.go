package rectify

import (
	"sync"
	"time"
)

const (
	// Requests, and bytes of requests, that may wait for a worker.
	waitingRequestsMax = 4_096
	waitingBytesMax    = 64 * 1024 * 1024
)

// job is one request for a worker.
type job struct {
	id        uint64
	bytes     int
	work      work
	settings  *settings
	cancelled chan struct{}
	once      sync.Once
}

func (j *job) cancel() { j.once.Do(func() { close(j.cancelled) }) }

type refused int

const (
	taken refused = iota
	overloaded
	duplicateID
)

// queue holds requests that wait or run: bounded, and each of them cancellable.
type queue struct {
	mutex   sync.Mutex
	work    *sync.Cond
	waiting []*job
	bytes   int
	running map[uint64]*job
	closed  bool
	// Closed when nothing waits or runs after the end.
	idle     chan struct{}
	idleOnce sync.Once
}

func newQueue() *queue {
	q := &queue{running: map[uint64]*job{}, idle: make(chan struct{})}
	q.work = sync.NewCond(&q.mutex)
	return q
}

func (q *queue) push(j *job) refused {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if _, there := q.running[j.id]; there || q.place(j.id) >= 0 {
		return duplicateID
	}
	full := len(q.waiting) >= waitingRequestsMax || (q.bytes+j.bytes > waitingBytesMax && len(q.waiting) > 0)
	if full || q.closed {
		return overloaded
	}
	q.bytes += j.bytes
	q.waiting = append(q.waiting, j)
	q.work.Signal()
	return taken
}

func (q *queue) place(id uint64) int {
	for at, j := range q.waiting {
		if j.id == id {
			return at
		}
	}
	return -1
}

// next waits for a job; nil if there will be no more.
func (q *queue) next() *job {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	for len(q.waiting) == 0 {
		if q.closed {
			return nil
		}
		q.work.Wait()
	}
	j := q.waiting[0]
	q.waiting[0] = nil
	q.waiting = q.waiting[1:]
	q.bytes -= j.bytes
	q.running[j.id] = j
	return j
}

// done says that a job was answered.
func (q *queue) done(id uint64) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	delete(q.running, id)
	q.checkIdle()
}

func (q *queue) checkIdle() {
	if q.closed && len(q.running) == 0 {
		q.idleOnce.Do(func() { close(q.idle) })
	}
}

// cancel cancels a request. One that has not begun is taken out, to be answered by the caller.
func (q *queue) cancel(id uint64) bool {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if j, there := q.running[id]; there {
		j.cancel()
		return false
	}
	at := q.place(id)
	if at < 0 {
		return false
	}
	q.bytes -= q.waiting[at].bytes
	q.waiting = append(q.waiting[:at], q.waiting[at+1:]...)
	return true
}

// close cancels everything and takes no more. What has not begun is given back, to be answered.
func (q *queue) close() []*job {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.closed = true
	waiting := q.waiting
	q.waiting, q.bytes = nil, 0
	for _, j := range q.running {
		j.cancel()
	}
	q.work.Broadcast()
	q.checkIdle()
	return waiting
}

func (q *queue) inFlight() int {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	return len(q.waiting) + len(q.running)
}

// waitIdle waits, after close, until nothing runs.
func (q *queue) waitIdle(longest time.Duration) {
	timer := time.NewTimer(longest)
	defer timer.Stop()
	select {
	case <-q.idle:
	case <-timer.C:
	}
}
