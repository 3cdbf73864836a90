package core

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/internal/moment"
	"rollcall/store/pg"
)

// isAdminPage tells whether the request views a page for operators.
func isAdminPage(r *http.Request) bool {
	return (r.URL.Path == "/admin" || strings.HasPrefix(r.URL.Path, "/admin/")) &&
		(r.Method == http.MethodGet || r.Method == http.MethodHead)
}

// IsPartOf tells whether htmx requests the part of a page that has this id.
func IsPartOf(r *http.Request, id string) bool {
	return IsPart(r) && r.Header.Get("HX-Target") == id
}

// Form parses the form of a request.
func Form(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	if err := r.ParseForm(); err != nil {
		return ErrForm
	}
	return nil
}

// Query is the request's query. It fails where net/http would drop a malformed
// parameter, and so show another list than requested.
func Query(r *http.Request) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, errQuery
	}
	return q, nil
}

// ListScope is the scope of cursors of a store's list.
func ListScope(r *http.Request) string { return "customers of " + r.PathValue("store") }

// ListQuery is the query of a store's list, its cursor deciphered.
func (s *Site) ListQuery(r *http.Request) (url.Values, error) {
	return s.QueryWith(r, "cursor", ListScope(r))
}

// QueryWith is the request's query, with the cursor called name deciphered. A
// repeated cursor stays: the store refuses it.
func (s *Site) QueryWith(r *http.Request, name, scope string) (url.Values, error) {
	q, err := Query(r)
	if err != nil || len(q[name]) != 1 {
		return q, err
	}
	plain, err := s.IDs().plain(scope, q.Get(name))
	q[name] = []string{plain}
	return q, err
}

// MaxBody is the size of the largest JSON body, in bytes.
const MaxBody = 64 << 10

// timeOf parses a time or a day (its beginning, UTC); nil if text is empty.
func timeOf(name, text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	t, ok := moment.Parse(text)
	if !ok {
		return nil, &pg.BadParam{Name: name,
			Reason: fmt.Sprintf("%q is not a time; write 2026-01-12T10:00:00Z or 2026-01-12", text)}
	}
	t = t.UTC()
	return &t, nil
}

// page is the requested part of a list that is ordered by id.
type page struct {
	From  int64 // the last id of the page before; 0: there is none
	Limit int
}

// PageOf reads limit and cursor, and refuses other parameters.
func PageOf(r *http.Request) (page, error) { return PageBy(r, fromBase36) }

// PageBy is PageOf for lists with cursors of their own, which number reads.
func PageBy(r *http.Request, number func(cursor string) (int64, bool)) (p page, err error) {
	q, err := Query(r)
	if err != nil {
		return p, err
	}
	p.Limit = pg.DefaultLimit
	for name, values := range q {
		value := values[len(values)-1]
		switch {
		case name != "limit" && name != "cursor":
			return p, &pg.BadParam{Name: name, Reason: "is not known; allowed are cursor and limit"}
		case value == "": // forms send empty fields
		case name == "limit":
			if p.Limit, err = strconv.Atoi(value); err != nil || p.Limit < 1 || p.Limit > pg.MaxLimit {
				return p, &pg.BadParam{Name: name, Reason: fmt.Sprintf("must be a number from 1 to %d", pg.MaxLimit)}
			}
		default:
			var ok bool
			if p.From, ok = number(value); !ok || p.From < 1 {
				return p, ErrCursor
			}
		}
	}
	return p, nil
}

// fromBase36 reads a cursor of an operators' list.
func fromBase36(cursor string) (int64, bool) {
	n, err := strconv.ParseInt(cursor, 36, 64)
	return n, err == nil
}

// Cut makes a list of rows, of which there is one more than limit if others follow.
func Cut[T any](rows []T, limit int, id func(T) int64) List {
	return CutBy(rows, limit, func(row T) string { return strconv.FormatInt(id(row), 36) })
}

// CutBy is Cut with the cursor of a row.
func CutBy[T any](rows []T, limit int, cursor func(T) string) List {
	if len(rows) <= limit {
		return NewList(append([]T{}, rows...), "")
	}
	return NewList(rows[:limit], cursor(rows[limit-1]))
}

// IDOf is the id in the path; errNotFound if it is not a number.
func IDOf(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, errNotFound
	}
	return id, nil
}

// withArticle is "a number", "an object".
func withArticle(noun string) string {
	if strings.ContainsAny(noun[:1], "aeiou") {
		return "an " + noun
	}
	return "a " + noun
}

// ReadJSON reads a request's body, one JSON object, into v. It refuses names that v
// lacks: what they ask for would not be done.
func ReadJSON(w http.ResponseWriter, r *http.Request, v any) error {
	text, err := bodyOf(w, r)
	if err != nil {
		return err
	}
	var sent map[string]json.RawMessage
	if err := json.Unmarshal(text, &sent); err != nil || sent == nil {
		return BadBody("The body is not a JSON object.")
	}
	known := NamesOf(v)
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		if !slices.Contains(known, name) {
			return BadBody("%q is not known; allowed are %s.", name, strings.Join(known, ", "))
		}
	}
	var wrong *json.UnmarshalTypeError
	if err := json.Unmarshal(text, v); errors.As(err, &wrong) {
		return BadBody("%s must not be %s.", wrong.Field, withArticle(wrong.Value))
	} else if refused := (*pg.BadParam)(nil); errors.As(err, &refused) {
		return refused
	} else if err != nil {
		return BadBody("The body is not valid.")
	}
	return nil
}

// bodyOf is a request's body, if its content type is JSON, which forms of other
// sites cannot send.
func bodyOf(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, errBodyType
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if errors.As(err, new(*http.MaxBytesError)) {
		return nil, errBodySize
	}
	if err != nil {
		return nil, BadBody("The body is incomplete.")
	}
	return text, nil
}

// NamesOf are the names of v's members in JSON.
func NamesOf(v any) []string {
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

// BadBody is the failure of a malformed body.
func BadBody(format string, args ...any) error {
	return &Failure{http.StatusBadRequest, "invalid_body", fmt.Sprintf(format, args...)}
}

// TimelineScope is the scope of cursors of a customer's timeline.
func TimelineScope(r *http.Request) string {
	return "timeline of " + r.PathValue("id") + " in " + r.PathValue("store")
}

// IsPart tells whether htmx requests a part of a page. To restore a page from
// history it needs all of it.
func IsPart(r *http.Request) bool {
	return r.Header.Get("HX-Request") == "true" && r.Header.Get("HX-History-Restore-Request") != "true"
}

// Address is path with the query q, if it has any.
func Address(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// IsAPI tells whether the request is for the API.
func IsAPI(r *http.Request) bool {
	return r.URL.Path == "/api" || strings.HasPrefix(r.URL.Path, "/api/")
}

// List is the JSON of every list.
type List struct {
	Data any     `json:"data"`
	Next *string `json:"next_cursor"` // null at the end
}

// NewList is a list whose next page begins at next; empty: there is none.
func NewList(data any, next string) List {
	if next == "" {
		return List{data, nil}
	}
	return List{data, &next}
}

// WriteJSON writes body. It panics if body does not marshal, which is a bug.
func WriteJSON(w http.ResponseWriter, status int, body any) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // nosniff and the content type suffice
	if err := encoder.Encode(body); err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(text.Bytes()) // the client may be gone
}

// AnswerJSON answers body, unless err is set.
func AnswerJSON(w http.ResponseWriter, body any, err error) error {
	if err == nil {
		WriteJSON(w, http.StatusOK, body)
	}
	return err
}

// MonitoringPath is the path of asynqmon, the queue monitor. It has no protection
// of its own: routes and Guarded add that.
const MonitoringPath = "/monitoring"

func underMonitoring(r *http.Request) bool {
	return r.URL.Path == MonitoringPath || strings.HasPrefix(r.URL.Path, MonitoringPath+"/")
}

// ErrCursor refuses a cursor that this server did not make.
var ErrCursor = &pg.BadParam{Name: "cursor",
	Reason: "is not valid; use next_cursor unchanged, or omit it to start from the beginning"}

// MaxForm is the size of the largest form, in bytes.
const MaxForm = 16 << 10

// WhereFrom is the page that a request is for, or whose form it sends.
func WhereFrom(r *http.Request) string {
	if r.Method != http.MethodPost {
		return r.URL.RequestURI()
	}
	from, err := url.Parse(r.Referer())
	if err != nil || from.Host != r.Host {
		return "/"
	}
	return from.RequestURI()
}

// LocalPath returns next if it is a path on this site, else "/". Browsers read a
// backslash as a slash and skip tabs and line ends: "/\host" and "/\t/host" lead
// elsewhere.
func LocalPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") ||
		strings.ContainsFunc(next, func(r rune) bool { return r == '\\' || r < ' ' }) {
		return "/"
	}
	return next
}
