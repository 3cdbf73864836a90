package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/store/pg"
)

// What requests about backfills say, read strictly: what is asked for and not
// understood would be taken for done.

// maxBody is the size of the largest JSON body that is read, in bytes.
const maxBody = 64 << 10

// timeOf reads a time, or a day (its beginning, UTC); nil if none was given.
func timeOf(name, text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		t, err := time.Parse(form, text)
		if t = t.UTC(); err == nil && t.Year() >= 1 && t.Year() <= 9999 {
			return &t, nil
		}
	}
	return nil, &pg.BadParam{Name: name, Reason: fmt.Sprintf("%q is no time: write 2026-01-12T10:00:00Z, or 2026-01-12", text)}
}

// page is the part of a list by ids that is asked for.
type page struct {
	from  int64 // the last id of the page before; 0: there is none
	limit int
}

// pageOf reads limit and cursor, and refuses whatever else is there.
func pageOf(r *http.Request) (page, error) { return pageBy(r, fromBase36) }

// pageBy does the same of a list whose cursors are read by number.
func pageBy(r *http.Request, number func(cursor string) (int64, bool)) (p page, err error) {
	q, err := query(r)
	if err != nil {
		return p, err
	}
	p.limit = pg.DefaultLimit
	for name, values := range q {
		value := values[len(values)-1]
		switch {
		case name != "limit" && name != "cursor":
			return p, &pg.BadParam{Name: name, Reason: "is not known; allowed are cursor and limit"}
		case value == "": // as forms send what is left out
		case name == "limit":
			if p.limit, err = strconv.Atoi(value); err != nil || p.limit < 1 || p.limit > pg.MaxLimit {
				return p, &pg.BadParam{Name: name, Reason: fmt.Sprintf("must be a number from 1 to %d", pg.MaxLimit)}
			}
		default:
			var ok bool
			if p.from, ok = number(value); !ok || p.from < 1 {
				return p, errCursor
			}
		}
	}
	return p, nil
}

// fromBase36 reads the cursors of operators' lists.
func fromBase36(cursor string) (int64, bool) {
	n, err := strconv.ParseInt(cursor, 36, 64)
	return n, err == nil
}

// cut makes a list of one row more than fits, if there are that many.
func cut[T any](rows []T, limit int, id func(T) int64) list {
	return cutBy(rows, limit, func(row T) string { return strconv.FormatInt(id(row), 36) })
}

// cutBy does the same with the cursor that belongs to a row.
func cutBy[T any](rows []T, limit int, cursor func(T) string) list {
	if len(rows) <= limit {
		return newList(append([]T{}, rows...), "")
	}
	return newList(rows[:limit], cursor(rows[limit-1]))
}

// idOf is the id in the address. What cannot be one is nobody's.
func idOf(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, errNotFound
	}
	return id, nil
}

// readJSON reads a request's body, one JSON object, into v. A name that v does
// not have is an error: what it stands for would not be done.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	text, err := bodyOf(w, r)
	if err != nil {
		return err
	}
	var sent map[string]json.RawMessage
	if err := json.Unmarshal(text, &sent); err != nil || sent == nil {
		return badBody("The body is not one JSON object.")
	}
	known := namesOf(v)
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		if !slices.Contains(known, name) {
			return badBody("%q is not known; allowed are %s.", name, strings.Join(known, ", "))
		}
	}
	var wrong *json.UnmarshalTypeError
	if err := json.Unmarshal(text, v); errors.As(err, &wrong) {
		return badBody("%s cannot be a %s.", wrong.Field, wrong.Value)
	} else if err != nil {
		return badBody("The body cannot be read.")
	}
	return nil
}

// bodyOf is a request's body, if it says that it is JSON. Forms of other sites
// cannot say so.
func bodyOf(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, errBodyType
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, errBodySize
	}
	if err != nil {
		return nil, badBody("The body did not arrive whole.")
	}
	return text, nil
}

// namesOf are the names that v has in JSON.
func namesOf(v any) []string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // a type of ours
	}
	var names map[string]json.RawMessage
	if err := json.Unmarshal(text, &names); err != nil {
		panic(err)
	}
	return slices.Sorted(maps.Keys(names))
}

func badBody(format string, args ...any) error {
	return &failure{http.StatusBadRequest, "invalid_body", fmt.Sprintf(format, args...)}
}
