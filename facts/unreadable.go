package facts

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// inWords describes what is wrong with an object that cannot be decoded, to people who know the
// object and not this program.
func inWords(err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return err
	}
	place := strings.ToLower(wrong.Field) // names without a tag are written as in Go
	if place == "" {
		place = "the object"
	}
	return fmt.Errorf("%s is %s; it must be %s", place, valueInWords(wrong.Value), kindInWords(wrong.Type))
}

// valueInWords is the kind of a JSON value, as encoding/json calls it.
func valueInWords(value string) string {
	kind, literal, _ := strings.Cut(value, " ")
	switch {
	case literal != "": // number 12.5
		return literal
	case kind == "string":
		return "text"
	case kind == "array":
		return "a list"
	case kind == "bool":
		return "true or false"
	case kind == "number":
		return "a number"
	}
	return "an object"
}

// kindInWords is the kind of JSON value that a type is decoded from.
func kindInWords(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Int, reflect.Int64, reflect.Int32:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	}
	return "an object"
}
