package rectify

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
)

const (
	frameMaxBytes = 8 * 1024 * 1024
	// The shortest limit that a session can do with: every failure of an operation must fit.
	frameMinBytes = 4 * 1024
)

// tooLarge says that a line is longer than the limit.
type tooLarge struct{ limit int }

func (e *tooLarge) Error() string { return fmt.Sprintf("a frame is at most %d bytes long", e.limit) }

// lineReader reads lines, never keeping more than a limit of any.
type lineReader struct{ reader *bufio.Reader }

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{bufio.NewReaderSize(r, 64*1024)}
}

// next is the next line that is not empty, without its newline. A line without a
// newline at the end of the stream is no message. The end of the stream is io.EOF.
// A tooLarge comes at the end of the long line, of which nothing is kept.
func (l *lineReader) next(limit int) ([]byte, error) {
	var line []byte
	long := false
	for {
		piece, err := l.reader.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return nil, io.EOF
		}
		text := bytes.TrimSuffix(piece, []byte{'\n'})
		if long = long || len(line)+len(text) > limit; long {
			line = nil
		} else {
			line = append(line, text...)
		}
		switch {
		case err == bufio.ErrBufferFull:
		case long:
			return nil, &tooLarge{limit}
		case len(line) > 0:
			return line, nil
		}
	}
}

// request is what a line asks for.
type request struct {
	id     uint64
	hasID  bool
	method string
	params any
}

func parseRequest(line []byte) (request, *rpcError) {
	var r request
	value, err := parseStrict(line)
	if err != nil {
		return r, failure(rpcParse, "%v", err)
	}
	members, ok := value.(map[string]any)
	if !ok {
		return r, failure(rpcInvalidRequest, "a message is an object")
	}
	if members["jsonrpc"] != "2.0" {
		return r, failure(rpcInvalidRequest, "`jsonrpc` is not \"2.0\"")
	}
	if id := members["id"]; id != nil {
		number, ok := id.(int64)
		if !ok || number < 0 {
			return r, failure(rpcInvalidRequest, "an id is a number that is not negative")
		}
		r.id, r.hasID = uint64(number), true
	}
	if r.method, ok = members["method"].(string); !ok {
		return r, failure(rpcInvalidRequest, "a message of the engine has a method")
	}
	r.params = members["params"]
	return r, nil
}

// responseLine is the line of an answer.
func responseLine(id uint64, result any) ([]byte, error) {
	return frameBytes(obj{{"jsonrpc", "2.0"}, {"id", id}, {"result", result}})
}

// failureLine is the line of a failure of a request; without an id where it could not be read.
func failureLine(id *uint64, e *rpcError) []byte {
	out := obj{{"jsonrpc", "2.0"}}
	if id != nil {
		out = append(out, member{"id", *id})
	}
	fields := obj{{"code", e.code}, {"message", valid(e.message)}}
	if e.data != nil {
		fields = append(fields, member{"data", e.data})
	}
	// A number and texts that are UTF-8 can always be written.
	line, _ := frameBytes(append(out, member{"error", fields}))
	return line
}

func notificationLine(method string, params obj) []byte {
	line, _ := frameBytes(obj{{"jsonrpc", "2.0"}, {"method", method}, {"params", params}})
	return line
}

// valid is a text as it can be sent.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
