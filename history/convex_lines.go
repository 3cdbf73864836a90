package history

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
)

// lines reads a table line by line and counts lines and bytes.
type lines struct {
	packed io.ReadCloser
	r      *bufio.Reader
	long   []byte // of a line longer than r's buffer
	line   int64  // lines read
	offset int64  // bytes read of the unpacked table
}

const (
	lineBuffer = 256 << 10
	// maxLine is many times a document's limit of 1 MiB.
	maxLine = 16 << 20
)

// mark is the byte order mark that some editors write first.
var mark = []byte("\ufeff")

// errLongLine is the error of a skipped line.
var errLongLine = errors.New("is longer than 16 MiB")

func newLines(packed io.ReadCloser) *lines {
	return &lines{packed: packed, r: bufio.NewReaderSize(packed, lineBuffer)}
}

func (l *lines) close() { l.packed.Close() } // read-only: errors are harmless

// next returns the next line, without surrounding white space and byte order mark, valid until the
// next call. At the end it returns io.EOF; errLongLine only concerns this line. An incomplete last
// line is never returned.
func (l *lines) next() ([]byte, error) {
	if cap(l.long) > 4*lineBuffer {
		l.long = nil // frees the memory of a long line
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
		if length > maxLine+1 { // without the newline
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

// skip skips n bytes.
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
			return io.ErrUnexpectedEOF // the file has become shorter
		}
		if err != nil {
			return err
		}
	}
	return nil
}
