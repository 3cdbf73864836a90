package operators

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/history"
	"rollcall/store"
	"rollcall/store/pg"
	"rollcall/web/core"
)

const (
	pageRuns     = 20 // on a page of the list
	pageFindings = 50 // of a run's errors and notes
)

// runsPage is the data of backfills.html.
type runsPage struct {
	adminPage
	Runs    []run
	Earlier string // URL of earlier runs; empty: none
	Form    core.NewBackfill
	Cards   []importCard
	Kinds   []store.BackfillKind
	Streams []core.Option // Stripe's lists
	Wrong   string        // why the form is not valid
	Field   string        // the field that is wrong
	LiveURL string
}

// run is a backfill as pages show it.
type run struct {
	store.Backfill
	Title   string
	URL     string
	Live    bool // it has not ended
	Percent int  // of the expected number, if that is known
	Rate    float64
	Left    time.Duration // an estimate; 0: unknown
	Options []field
	Orders  []string // the actions that are possible now
}

// Sample is the progress of a run at a time, to calculate its rate.
type Sample struct {
	Run, Seen int64
	At        time.Time
}

// sampleLife is the period over which a rate is calculated.
const sampleLife = 5 * time.Second

// Run is a backfill with its rate since an earlier Sample, if that is not zero.
func (s *Pages) Run(b store.Backfill, since Sample) run {
	r := run{Backfill: b, Title: store.BackfillKindOf(b.Kind).Label,
		URL: "/admin/backfills/" + strconv.FormatInt(b.ID, 10)}
	switch b.Status {
	case "queued", "running":
		r.Live, r.Orders = true, []string{"pause", "cancel"}
	case "paused", "failed":
		r.Orders = []string{"resume", "cancel"}
	}
	if b.Expected != nil {
		r.Percent = int(min(100, 100*float64(b.Seen)/max(1, float64(*b.Expected))))
	}
	if since.Run != b.ID && b.StartedAt != nil {
		since = Sample{b.ID, 0, *b.StartedAt}
	}
	if took := s.Cfg.Now().Sub(since.At).Seconds(); b.Status == "running" && since.Run == b.ID &&
		took > 0 && b.Seen > since.Seen {
		r.Rate = float64(b.Seen-since.Seen) / took
		if b.Expected != nil && *b.Expected > b.Seen {
			r.Left = time.Duration(float64(*b.Expected-b.Seen) / r.Rate * float64(time.Second))
		}
	}
	r.Options = optionsOf(b)
	return r
}

// optionsOf are the options of a run, without its kind.
func optionsOf(b store.Backfill) (options []field) {
	written := b.Options.Written()
	for _, name := range []string{"store", "since", "only", "accounts", "file"} {
		if text := written[name]; text != "" {
			options = append(options, field{name, text})
		}
	}
	if b.DryRun {
		options = append(options, field{"dry run", "changes nothing"})
	}
	return options
}

// Backfills shows the runs and the form of a new one; to htmx only the runs.
func (s *Pages) Backfills(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Vary", "HX-Request")
	return s.showRuns(w, r, runsPage{Form: core.NewBackfill{Kind: store.BackfillKinds[0].Name}})
}

// showRuns writes the page; page.Wrong is set if the form was refused.
func (s *Pages) showRuns(w http.ResponseWriter, r *http.Request, page runsPage) error {
	p, err := core.PageOf(r)
	if err != nil {
		return err
	}
	page.adminPage, page.LiveURL = s.adminPage("backfills", "Import your history"), r.URL.RequestURI()
	page.Kinds = store.BackfillKinds
	for _, name := range history.StripeStreams() {
		page.Streams = append(page.Streams, core.Option{
			Value: name, Label: strings.ReplaceAll(name, "_", " "), On: slices.Contains(page.Form.Only, name),
		})
	}
	runs, err := s.Cfg.Store.Backfills(r.Context(), p.From, pageRuns+1)
	if err != nil {
		return err
	}
	if len(runs) > pageRuns {
		runs = runs[:pageRuns]
		page.Earlier = core.Address("/admin/backfills", url.Values{"cursor": {strconv.FormatInt(runs[pageRuns-1].ID, 36)}})
	}
	for _, b := range runs {
		page.Runs = append(page.Runs, s.Run(b, Sample{}))
	}
	if core.IsPartOf(r, "runs") {
		return s.Page(w, http.StatusOK, "runs", page)
	}
	if page.Cards, err = s.importCards(r.Context()); err != nil {
		return err
	}
	status := http.StatusOK
	if page.Wrong != "" {
		status = http.StatusBadRequest
	}
	return s.Page(w, status, "backfills.html", page)
}

// BackfillForm starts a run. Errors are shown at their fields.
func (s *Pages) BackfillForm(w http.ResponseWriter, r *http.Request) error {
	if err := core.Form(w, r); err != nil {
		return err
	}
	asked, err := formOf(r.PostForm)
	var b store.Backfill
	if err == nil {
		b, err = s.BeginBackfill(r.Context(), asked, core.Admitted(r).Name())
	}
	var wrong *pg.BadParam
	var running *store.AlreadyRunning
	switch {
	case errors.As(err, &wrong):
		return s.showRuns(w, r, runsPage{Form: asked, Wrong: wrong.Reason, Field: wrong.Name})
	case errors.As(err, &running):
		return s.showRuns(w, r, runsPage{Form: asked, Wrong: core.Explain(err).Message, Field: "kind"})
	case err != nil:
		return err
	}
	s.audit(r, "an operator starts a backfill", "backfill", b.ID, "kind", b.Kind, "scope", b.Scope, "dry_run", b.DryRun)
	http.Redirect(w, r, "/admin/backfills/"+strconv.FormatInt(b.ID, 10), http.StatusSeeOther)
	return nil
}

// formOf parses the form of a new run.
func formOf(q url.Values) (asked core.NewBackfill, err error) {
	text := func(name string) string { return strings.TrimSpace(q.Get(name)) }
	words := func(name string) []string {
		return strings.FieldsFunc(text(name), func(r rune) bool { return r == ',' || r == ' ' })
	}
	asked = core.NewBackfill{
		Kind: text("kind"), Store: text("store"), Since: text("since"), Only: q["only"], Accounts: words("accounts"),
		File: text("file"), AsOf: text("as_of"), DryRun: q.Get("dry_run") != "",
	}
	if size := text("chunk_size"); size != "" {
		if asked.ChunkSize, err = strconv.Atoi(size); err != nil {
			err = &pg.BadParam{Name: "chunk_size", Reason: "must be a number"}
		}
	}
	return asked, err
}

// runPage is the data of backfill.html.
type runPage struct {
	adminPage
	Run      run
	Streams  []store.BackfillStream
	Findings []store.BackfillError
	Further  string // URL of the next errors; empty at the end
	LiveURL  string // of the progress, with a Sample to compare with
}

// BackfillPage shows one run, or to htmx its progress.
func (s *Pages) BackfillPage(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Vary", "HX-Request, HX-Target")
	id, err := core.IDOf(r)
	if err != nil {
		return err
	}
	q, err := core.Query(r)
	if err != nil {
		return err
	}
	b, err := s.Cfg.Store.Backfill(r.Context(), id)
	if err != nil {
		return err
	}
	page := runPage{adminPage: s.adminPage("backfills", store.BackfillKindOf(b.Kind).Label)}
	since := ReadSample(id, q)
	page.Run = s.Run(b, since)
	page.LiveURL = s.LiveURL(page.Run, since)
	if page.Streams, err = s.Cfg.Store.BackfillStreams(r.Context(), id); err != nil {
		return err
	}
	if core.IsPartOf(r, "run") {
		return s.Page(w, http.StatusOK, "run", page)
	}
	if err := s.findings(r.Context(), &page, q.Get("errors")); err != nil {
		return err
	}
	name := "backfill.html"
	if core.IsPart(r) {
		name = "findings"
	}
	return s.Page(w, http.StatusOK, name, page)
}

// findings reads a page of a run's errors and notes, after the one named.
func (s *Pages) findings(ctx context.Context, page *runPage, after string) error {
	from, err := strconv.ParseInt(cmp.Or(after, "0"), 36, 64)
	if err != nil {
		return &pg.BadParam{Name: "errors", Reason: "is not valid; omit it to start from the beginning"}
	}
	found, err := s.Cfg.Store.BackfillErrors(ctx, page.Run.ID, from, pageFindings+1)
	if err != nil {
		return err
	}
	if len(found) > pageFindings {
		found = found[:pageFindings]
		page.Further = core.Address(page.Run.URL, url.Values{"errors": {strconv.FormatInt(found[pageFindings-1].ID, 36)}})
	}
	page.Findings = found
	return nil
}

// ReadSample parses the Sample in a live URL.
func ReadSample(id int64, q url.Values) Sample {
	seen, err := strconv.ParseInt(q.Get("seen"), 10, 64)
	at, err2 := strconv.ParseInt(q.Get("at"), 10, 64)
	if err != nil || err2 != nil {
		return Sample{}
	}
	return Sample{id, seen, time.UnixMilli(at)}
}

// LiveURL is where htmx requests a run's progress: with since, or a new Sample once
// since is old.
func (s *Pages) LiveURL(r run, since Sample) string {
	if now := s.Cfg.Now(); since.Run != r.ID || now.Sub(since.At) > sampleLife {
		since = Sample{r.ID, r.Seen, now}
	}
	return core.Address(r.URL, url.Values{"seen": {strconv.FormatInt(since.Seen, 10)},
		"at": {strconv.FormatInt(since.At.UnixMilli(), 10)}})
}

// OrderForm handles a button of a run: what is the action's name.
func (s *Pages) OrderForm(what string, order func(context.Context, int64) (store.Backfill, error)) core.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := core.IDOf(r)
		if err != nil {
			return err
		}
		b, err := order(r.Context(), id)
		var wrong *store.WrongStatus
		if err != nil && !errors.As(err, &wrong) { // else the page shows its status
			return err
		}
		s.audit(r, "an operator orders a backfill", "what", what, "backfill", id, "status", b.Status)
		http.Redirect(w, r, "/admin/backfills/"+strconv.FormatInt(id, 10), http.StatusSeeOther)
		return nil
	}
}
