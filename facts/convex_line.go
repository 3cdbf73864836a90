package facts

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Parses a line of an export into a document. Exports have millions of lines, of which few fields
// are read. Splitting an object by jsontext takes less than half the time of json.Unmarshal.

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

// eachField calls f with an object's keys (as written between quotes) and values. If the line is no
// JSON, f may have been called with what comes before the fault.
func eachField(line []byte, f func(key, value []byte) error) error {
	// A decoder of a bytes.Buffer reads in place: what it returns stays valid.
	d := jsontext.NewDecoder(bytes.NewBuffer(line), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	err := eachMember(d, f)
	if err != nil {
		if syntax := json.Unmarshal(line, new(any)); syntax != nil {
			return syntax
		}
	}
	return err
}

func eachMember(d *jsontext.Decoder, f func(key, value []byte) error) error {
	begin, err := d.ReadToken()
	if err != nil {
		return err
	}
	if begin.Kind() != '{' {
		return errNoObject
	}
	for d.PeekKind() == '"' {
		key, err := d.ReadValue()
		if err != nil {
			return err
		}
		value, err := d.ReadValue()
		if err != nil {
			return err
		}
		if err := f(key[1:len(key)-1], value); err != nil {
			return err
		}
	}
	if _, err := d.ReadToken(); err != nil { // the end of the object
		return err
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return cmp.Or(err, errNoObject)
	}
	return nil
}
