package operators

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"rollcall/facts"
	"rollcall/internal/show"
	"rollcall/store"
	"rollcall/store/inbox"
	"rollcall/web/core"
)

// eventPage is the data of event.html.
type eventPage struct {
	adminPage
	Event    store.Event
	Facts    []inbox.EventFact // that it contains
	Silent   string            // why it contains none
	Notes    []string          // which fields were skipped
	Headers  [][2]string
	Payload  string
	Raw      bool // the payload is shown as received: indented, it would be too long
	URL      string
	Closed   bool // it is not pending
	SameType string
	Stripe   string // its page in Stripe's dashboard; empty: none
	Commands []command
}

// Event shows one event, or to htmx its outcome.
func (s *Pages) Event(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Vary", "HX-Request, HX-Target")
	event, err := inbox.New(s.Cfg.Store).Event(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	page := eventPage{Event: event, Closed: event.Status != "pending"}
	page.adminPage = s.adminPage("events", cmp.Or(show.VisibleLines(event.Type), "Event"))
	page.URL = "/admin/events/" + strconv.FormatInt(event.ID, 10)
	page.SameType = core.Address("/admin/events", url.Values{"source": {event.Source}, "type": {event.Type}})
	if event.PrunedAt == nil {
		if page.Facts, page.Notes, page.Silent, err = s.eventFacts(r, event); err != nil {
			return err
		}
	}
	if core.IsPartOf(r, "fate") {
		return s.Page(w, http.StatusOK, "fate", page)
	}
	page.Headers = headersOf(event.Headers)
	page.Stripe, page.Commands = stripePage(event), s.commandsFor(r, event)
	page.Payload, page.Raw = LaidOut(event.Payload)
	return s.Page(w, http.StatusOK, "event.html", page)
}

// eventFacts are an event's facts and the fields that were skipped, or why it has none.
func (s *Pages) eventFacts(r *http.Request, e store.Event) (
	all []inbox.EventFact, notes []string, silent string, err error) {
	if e.PrunedAt != nil {
		return nil, nil, "the payload was deleted", nil
	}
	if err := s.LoadIDs(r.Context()); err != nil {
		return nil, nil, "", err
	}
	all, notes, err = inbox.New(s.Cfg.Store).EventFacts(r.Context(), e, facts.Read)
	if errors.As(err, new(*facts.Ignored)) || errors.As(err, new(*facts.Malformed)) {
		return nil, nil, err.Error(), nil
	}
	for _, f := range all {
		for i := range f.Customers {
			f.Customers[i].ID = s.IDs().Customer(f.Customers[i].ID)
		}
	}
	return all, notes, "", err
}

// headersOf are the stored headers, by name.
func headersOf(text json.RawMessage) (headers [][2]string) {
	var kept map[string]string
	if json.Unmarshal(text, &kept) != nil {
		return nil // none are stored
	}
	for _, name := range slices.Sorted(maps.Keys(kept)) {
		headers = append(headers, [2]string{name, kept[name]})
	}
	return headers
}

// MaxLaidOut limits the size of an indented payload in bytes: deep nesting multiplies it.
const MaxLaidOut = 4 << 20

// LaidOut indents a payload and makes hidden characters visible; raw if it would be
// too long.
func LaidOut(payload []byte) (text string, raw bool) {
	var out bytes.Buffer
	if laidOutSize(payload) > MaxLaidOut || json.Indent(&out, payload, "", "  ") != nil {
		return show.VisibleLines(strings.ToValidUTF8(string(payload), "\ufffd")), true
	}
	return show.VisibleLines(strings.ToValidUTF8(out.String(), "\ufffd")), false
}

// laidOutSize estimates the size of the indented payload.
func laidOutSize(payload []byte) (size int) {
	depth, inText := 0, false
	for i := 0; i < len(payload); i++ {
		switch c := payload[i]; {
		case inText && c == '\\':
			i++
		case c == '"':
			inText = !inText
		case inText:
		case c == '{', c == '[':
			depth++
			size += 2 * depth
		case c == '}', c == ']':
			size += 2 * depth
			depth--
		case c == ',':
			size += 2 * depth
		}
	}
	return size + len(payload)
}

// ShowEventFacts answers an event's facts and their standing.
func (s *Pages) ShowEventFacts(w http.ResponseWriter, r *http.Request) error {
	event, err := inbox.New(s.Cfg.Store).Event(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	all, notes, silent, err := s.eventFacts(r, event)
	if err != nil {
		return err
	}
	core.WriteJSON(w, http.StatusOK, struct {
		Facts  []inbox.EventFact `json:"facts"`
		Silent string            `json:"silent"` // why it contains no facts
		Notes  []string          `json:"notes"`  // which fields were skipped
	}{append([]inbox.EventFact{}, all...), silent, append([]string{}, notes...)})
	return nil
}
