package facts

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"time"
)

// Parses a line of an export into a document. Exports have millions of lines, of which few fields
// are read. Splitting a validated object by hand takes about half the time of json.Unmarshal.

// fromLine turns a reader of documents into a reader of lines. All document fields implement
// json.Unmarshaler.
func fromLine[D any](read func(*ConvexExport, *D) (ConvexRow, error)) func(*ConvexExport, []byte) (ConvexRow, error) {
	fields := map[string][]int{}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[D]()) {
		if tag := f.Tag.Get("json"); tag != "" {
			fields[tag] = f.Index
		}
	}
	return func(x *ConvexExport, line []byte) (ConvexRow, error) {
		var d D
		v := reflect.ValueOf(&d).Elem()
		err := eachField(line, func(key, value []byte) error {
			index, ok := fields[string(key)]
			if !ok {
				return nil
			}
			return v.FieldByIndex(index).Addr().Interface().(json.Unmarshaler).UnmarshalJSON(value)
		})
		if err != nil {
			return ConvexRow{}, err
		}
		row, err := read(x, &d)
		at := x.asOf
		if doc, ok := any(&d).(interface{ made() *time.Time }); ok && doc.made() != nil {
			at = *doc.made()
		}
		row.Facts = row.Facts.happened(at)
		return row, err
	}
}

var errNoObject = errors.New("a document must be an object")

// eachField calls f with an object's keys (as written between quotes) and values.
func eachField(line []byte, f func(key, value []byte) error) error {
	if !json.Valid(line) {
		return json.Unmarshal(line, new(any)) // returns the syntax error
	}
	i := skipSpace(line, 0)
	if line[i] != '{' {
		return errNoObject
	}
	for i = skipSpace(line, i+1); line[i] != '}'; i = skipSpace(line, i) {
		if line[i] == ',' {
			i = skipSpace(line, i+1)
		}
		key := i
		i = endOfText(line, i)
		name := line[key+1 : i-1]
		i = skipSpace(line, i)   // to the colon
		i = skipSpace(line, i+1) // to the value
		value := i
		i = endOfValue(line, i)
		if err := f(name, line[value:i]); err != nil {
			return err
		}
	}
	return nil
}

func skipSpace(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n' {
		i++
	}
	return i
}

// endOfText returns the end of the string that begins at i.
func endOfText(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// endOfValue returns the end of the value that begins at i.
func endOfValue(b []byte, i int) int {
	for depth := 0; ; {
		switch b[i] {
		case '"':
			i = endOfText(b, i)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\t', '\r', '\n':
			i++
			continue
		default:
			for !strings.ContainsRune(",]} \t\r\n", rune(b[i])) {
				i++
			}
		}
		if depth == 0 {
			return i
		}
	}
}
