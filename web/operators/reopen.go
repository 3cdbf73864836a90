package operators

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"rollcall/internal/actions"
	"rollcall/store"
	"rollcall/store/inbox"
	"rollcall/store/pg"
	"rollcall/web/core"
)

// Closed events are reopened to be applied again: a retry takes failed ones, a
// replay all. Or failed ones are dismissed. Reopening makes the rows pending and enqueues the first; the
// workers' sweep finds the rest.

// reopening is a retry, a replay or a dismissal.
type reopening struct {
	Do       string // as in URLs
	Verb     string
	Statuses []string
	Says     string // the question to the operator
}

var reopenings = map[string]reopening{
	"retry": {"retry", "Retry", actions.Retry, "Failed events are applied again, as if they had just been received."},
	"replay": {"replay", "Replay", actions.Replay,
		"Events are read and applied again, whatever their status. Nothing is counted twice."},
	"dismiss": {actions.Dismiss, "Dismiss", actions.Retry, "Failed events that no retry can help are put to rest: they " +
		"stay in the inbox as ignored, and count as failed no more. A replay applies them again."},
}

const (
	// ReopenPortion is how many events one request reopens, in some seconds; then the
	// operator is asked to continue.
	ReopenPortion = 100_000
	// reopenHints is how many events are enqueued at once.
	reopenHints = 1_000
	// reopenCounted limits the count before, and reopenCounting its time.
	reopenCounted  = 100_000
	reopenCounting = 4 * time.Second
)

// reopenPage is the data of reopen.html.
type reopenPage struct {
	adminPage
	reopening
	Chips   []core.Chip
	N       int64
	Many    bool // more than N match
	Counted bool // the count did not time out
	Opened  int  // by the previous request
	Fields  []field
	ListURL string
}

// field is a hidden field of a form.
type field struct{ Name, Value string }

// ReopenPageOf shows what a retry or replay would reopen, and a button.
func (s *Pages) ReopenPageOf(w http.ResponseWriter, r *http.Request) error {
	q, err := core.Query(r)
	if err != nil {
		return err
	}
	o, err := readReopenOrder(q)
	if err != nil {
		return err
	}
	list := eventsPage{Filter: o.filter}
	list.menus()
	page := reopenPage{
		adminPage: s.adminPage("events", o.Verb+" events"), reopening: o.reopening, Opened: o.opened,
		Chips: list.Chips, ListURL: list.PageURL,
	}
	f := o.reopenFilter(s.Cfg.Now())
	o.filter = o.filter.At(s.Cfg.Now()) // so that the button means the same events
	if len(f.Statuses) > 0 {
		short, cancel := core.Limited(r.Context(), reopenCounting)
		defer cancel()
		page.N, o.through, err = s.Cfg.Store.CountReopen(short, f, reopenCounted+1)
		if page.Counted = err == nil; err != nil && (short.Err() == nil || r.Context().Err() != nil) {
			return err
		}
		if page.Many = page.N > reopenCounted; page.Many {
			page.N = reopenCounted
		}
	} else {
		page.Counted = true
	}
	page.Fields = o.fields()
	return s.Page(w, http.StatusOK, "reopen.html", page)
}

// reopenOrder is the parsed form or query.
type reopenOrder struct {
	reopening
	filter  store.EventFilter
	after   int64  // the last id that the previous request reopened
	through int64  // later events are left out
	opened  int    // by the previous request
	why     string // of a dismissal
}

// values are the query that asks for o.
func (o reopenOrder) values() url.Values {
	q := o.filter.Values()
	q.Set("do", o.Do)
	q.Set("after", strconv.FormatInt(o.after, 10))
	q.Set("through", strconv.FormatInt(o.through, 10))
	if o.why != "" {
		q.Set("why", o.why)
	}
	return q
}

// fields are the hidden fields of the form.
func (o reopenOrder) fields() (fields []field) {
	q := o.values()
	for _, name := range slices.Sorted(maps.Keys(q)) {
		fields = append(fields, field{name, q.Get(name)})
	}
	return fields
}

// readReopenOrder parses a form or a query.
func readReopenOrder(q url.Values) (o reopenOrder, err error) {
	var known bool
	if o.reopening, known = reopenings[q.Get("do")]; !known {
		return o, &pg.BadParam{Name: "do", Reason: "must be retry, replay or dismiss"}
	}
	for name, into := range map[string]*int64{"after": &o.after, "through": &o.through} {
		if text := q.Get(name); text != "" {
			if *into, err = strconv.ParseInt(text, 10, 64); err != nil || *into < 0 {
				return o, &pg.BadParam{Name: name, Reason: "must be the id of an event"}
			}
		}
	}
	o.opened, _ = strconv.Atoi(q.Get("opened"))
	o.why = q.Get("why")
	for _, name := range []string{"do", "after", "through", "opened", "why"} {
		q.Del(name)
	}
	o.filter, err = store.ParseEventFilter(q)
	return o, err
}

func (o reopenOrder) reopenFilter(now time.Time) store.ReopenFilter {
	f := o.filter.Reopen(now, slices.Clone(o.Statuses)...)
	f.After, f.Through = o.after, o.through
	return f
}

// ReopenMany handles the form of ReopenPageOf.
func (s *Pages) ReopenMany(w http.ResponseWriter, r *http.Request) error {
	if err := core.Form(w, r); err != nil {
		return err
	}
	o, err := readReopenOrder(r.PostForm)
	if err != nil {
		return err
	}
	done, err := s.Reopen(r, o.Do, o.why, o.reopenFilter(s.Cfg.Now()))
	if err != nil {
		return err
	}
	path, q := "/admin/events", o.filter.Values()
	q.Del("status") // it has changed
	if o.Do == actions.Dismiss {
		q.Set("dismissed", "yes")
	}
	if done.After > 0 { // more may follow
		o.after = done.After
		path, q = "/admin/reopen", o.values()
	}
	if o.Do != actions.Dismiss || done.After > 0 { // the list of the dismissed speaks for itself
		q.Set("opened", strconv.Itoa(done.Opened))
	}
	http.Redirect(w, r, core.Address(path, q), http.StatusSeeOther)
	return nil
}

// ReopenOne handles the button of one event.
func (s *Pages) ReopenOne(do string) core.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := core.Form(w, r); err != nil {
			return err
		}
		event, err := inbox.New(s.Cfg.Store).Event(r.Context(), r.PathValue("id"))
		if err != nil {
			return err
		}
		if _, err := s.Reopen(r, do, r.PostForm.Get("why"), store.ReopenFilter{Statuses: reopenings[do].Statuses,
			IDs: []int64{event.ID}}); err != nil {
			return err
		}
		http.Redirect(w, r, "/admin/events/"+strconv.FormatInt(event.ID, 10), http.StatusSeeOther)
		return nil
	}
}

// Reopen reopens one portion of events and enqueues the first, or dismisses them for a
// reason.
func (s *Pages) Reopen(r *http.Request, do, why string, f store.ReopenFilter) (done actions.Reopened, err error) {
	if len(f.Statuses) == 0 {
		return done, nil
	}
	defer func() {
		s.audit(r, "an operator has events applied again", "what", do, "events", done.Opened, "filter", f, "error", err)
	}()
	return s.Actions().Reopen(r.Context(), actions.Reopening{
		Do: do, As: store.Dismissal{By: core.Admitted(r).Name(), Why: why},
		Filter: f, Most: ReopenPortion, Hints: reopenHints,
		Step: func() { core.Prolong(r.Context(), core.AskTimeout) },
	})
}

// NewReopening is the body of a retry or replay: which events to reopen.
type NewReopening struct {
	IDs []int64 `json:"ids"` // of the inbox; or else a filter, as of the list
	store.EventFilter
	All     bool  `json:"all"` // all events; excludes the others
	After   int64 `json:"after"`
	Through int64 `json:"through"`
}

// NewDismissal is the body of a dismissal.
type NewDismissal struct {
	NewReopening
	Why string `json:"why"` // why a retry would not help
}

// ReopenAPI handles a retry or replay by a program.
func (s *Pages) ReopenAPI(do string) core.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		var asked NewDismissal
		into := any(&asked.NewReopening)
		if do == actions.Dismiss {
			into = &asked
		}
		if err := core.ReadJSON(w, r, into); err != nil {
			return err
		}
		f := asked.EventFilter
		if asked.IDs == nil && !f.Narrow() && !asked.All {
			return core.BadBody(`Say which events: their ids, a filter, or "all": true.`)
		}
		if _, err := store.ParseEventFilter(f.Values()); err != nil {
			return err
		}
		reopen := reopenOrder{reopenings[do], f, asked.After, asked.Through, 0, asked.Why}.reopenFilter(s.Cfg.Now())
		reopen.IDs = asked.IDs
		done, err := s.Reopen(r, do, asked.Why, reopen)
		return core.AnswerJSON(w, done, err)
	}
}
