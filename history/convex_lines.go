package history

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
)

// lines reads a table line by line and counts what it has read.
type lines struct {
	packed io.ReadCloser
	r      *bufio.Reader
	long   []byte // of a line longer than r's buffer
	line   int64  // lines read
	offset int64  // bytes read, of the table unpacked
}

const (
	lineBuffer = 256 << 10
	// maxLine is many times the 1 MiB that a document may be.
	maxLine = 16 << 20
)

// mark is the byte order mark that some editors put first.
var mark = []byte("\ufeff")

// errLongLine is for a line that was passed over.
var errLongLine = errors.New("is longer than 16 MiB")

func newLines(packed io.ReadCloser) *lines {
	return &lines{packed: packed, r: bufio.NewReaderSize(packed, lineBuffer)}
}

func (l *lines) close() { l.packed.Close() } // nothing was written: no error matters

// next returns the next line without the white space around it and a byte order
// mark before it, valid until the one after. At the end it is io.EOF; errLongLine is about this line alone. The
// last line of a file that breaks off is never returned.
func (l *lines) next() ([]byte, error) {
	if cap(l.long) > 4*lineBuffer {
		l.long = nil // one long line is no reason to hold its room for good
	}
	l.long = l.long[:0]
	var length int64
	for {
		part, err := l.r.ReadSlice('\n')
		l.offset += int64(len(part))
		length += int64(len(part))
		full := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !full && (!errors.Is(err, io.EOF) || length == 0) {
			return nil, err
		}
		if length > maxLine+1 { // the newline is no part of it
			l.long = nil
		} else if full || len(l.long) > 0 {
			l.long = append(l.long, part...)
			part = l.long
		}
		if full {
			continue
		}
		l.line++
		if length > maxLine+1 {
			return nil, errLongLine
		}
		return bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(part), mark)), nil
	}
}

// skip passes over so many bytes.
func (l *lines) skip(ctx context.Context, n int64) error {
	const step = 64 << 20
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		passed, err := io.CopyN(io.Discard, l.r, min(n, step))
		l.offset += passed
		n -= passed
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF // what was there before is not any more
		}
		if err != nil {
			return err
		}
	}
	return nil
}
