package operators

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"rollcall/store"
	"rollcall/store/checks"
	"rollcall/store/pg"
	"rollcall/web/core"
)

// unattachedPage is the data of unattached.html.
type unattachedPage struct {
	adminPage
	Store   string // only its facts; "": all
	Reasons []offReason
	Right   []offReason // reasons of facts that are not expected on a list
}

// offReason is a reason with the URL of its facts.
type offReason struct {
	checks.OffReason
	URL       string
	AttachURL string
	Buttons   []remedyButton
}

// remedyButton is a button that may help.
type remedyButton struct {
	Do, Label string
	Missing   string // why it cannot help yet; empty: it can
}

// buttonsOf are the buttons of a remedy.
func (s *Pages) buttonsOf(ctx context.Context, remedy *checks.Remedy) (buttons []remedyButton, err error) {
	if remedy == nil {
		return nil, nil
	}
	for _, do := range remedy.Actions {
		b := remedyButton{Do: do}
		switch kind := store.BackfillKindOf(do); {
		case do == "attach":
			b.Label = "Attach again"
		case do == "retry":
			b.Label = "Retry failed events"
		default:
			b.Label = "Import: " + kind.Label
			if _, b.Missing, err = s.NeedOf(ctx, do); err != nil {
				return nil, err
			}
		}
		buttons = append(buttons, b)
	}
	return buttons, nil
}

func offReasonOf(r checks.OffReason, of string) offReason {
	return offReason{r, offURL(r.Reason, "", storeQuery(of)), offURL(r.Reason, "/attach", storeQuery(of)), nil}
}

// offURL is the page of a reason, or what is below it.
func offURL(reason, below string, q url.Values) string {
	return core.Address("/admin/unattached/"+url.PathEscape(reason)+below, q)
}

// offReasons lists why facts are missing, of the store that the request asks for.
func (s *Pages) offReasons(r *http.Request) (of string, reasons []checks.OffReason, err error) {
	if of, err = storeOf(r); err != nil {
		return "", nil, err
	}
	reasons, err = checks.New(s.Cfg.Store).OffReasons(r.Context(), of)
	return of, reasons, err
}

// Unattached shows why facts are missing.
func (s *Pages) Unattached(w http.ResponseWriter, r *http.Request) error {
	of, reasons, err := s.offReasons(r)
	if err != nil {
		return err
	}
	page := unattachedPage{adminPage: s.adminPage("unattached", "Missing"), Store: of}
	for _, reason := range reasons {
		if reason.Remedy == nil {
			page.Right = append(page.Right, offReasonOf(reason, of))
			continue
		}
		off := offReasonOf(reason, of)
		if off.Buttons, err = s.buttonsOf(r.Context(), reason.Remedy); err != nil {
			return err
		}
		page.Reasons = append(page.Reasons, off)
	}
	return s.Page(w, http.StatusOK, "unattached.html", page)
}

// storeOf is the store parameter, the only one allowed.
func storeOf(r *http.Request) (string, error) {
	q, err := core.Query(r)
	if err != nil {
		return "", err
	}
	for name := range q {
		if name != "store" {
			return "", &pg.BadParam{Name: name, Reason: "is not known; allowed are store"}
		}
	}
	f, err := checks.ParseOffFilter("", q)
	return f.Store, err
}

// offPage is the data of reason.html.
type offPage struct {
	adminPage
	offReason
	Store  string
	Facts  []store.OffFact
	Next   string // URL of the next page; empty at the end
	Done   *store.AttachedAgain
	GoOn   string // URL of the form that attaches the rest
	AllURL string
}

// UnattachedFacts shows the facts that are missing for a reason, or for htmx the
// next page of them.
func (s *Pages) UnattachedFacts(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Vary", "HX-Request")
	q, err := core.Query(r)
	if err != nil {
		return err
	}
	done, goOn := takeDone(q)
	f, err := checks.ParseOffFilter(r.PathValue("reason"), q)
	if err != nil {
		return err
	}
	reason, err := checks.New(s.Cfg.Store).Why(r.Context(), f.Reason, f.Store)
	if err != nil {
		return err
	}
	page := offPage{
		adminPage: s.adminPage("unattached", "Missing"), offReason: offReasonOf(reason, f.Store), Store: f.Store, Done: done,
		AllURL: core.Address("/admin/unattached", storeQuery(f.Store)),
	}
	if page.Buttons, err = s.buttonsOf(r.Context(), reason.Remedy); err != nil {
		return err
	}
	if goOn != "" {
		page.GoOn = offURL(f.Reason, "/attach", withQuery(storeQuery(f.Store), "cursor", goOn))
	}
	var next string
	if page.Facts, next, err = checks.New(s.Cfg.Store).OffFacts(r.Context(), f); err != nil {
		return err
	}
	if next != "" {
		page.Next = offURL(f.Reason, "", withQuery(storeQuery(f.Store), "cursor", next))
	}
	name := "reason.html"
	if core.IsPart(r) {
		name = "offfacts"
	}
	return s.Page(w, http.StatusOK, name, page)
}

func storeQuery(of string) url.Values { return withQuery(url.Values{}, "store", of) }

// withQuery sets a parameter unless value is empty.
func withQuery(q url.Values, name, value string) url.Values {
	if value != "" {
		q.Set(name, value)
	}
	return q
}

// takeDone removes the previous form's result from a query, and returns it.
func takeDone(q url.Values) (done *store.AttachedAgain, goOn string) {
	numbers := map[string]int64{}
	for _, name := range []string{"looked", "attached", "failed"} {
		if n, err := strconv.ParseInt(q.Get(name), 10, 64); err == nil {
			numbers[name] = n
		}
		q.Del(name)
	}
	goOn = q.Get("go_on")
	q.Del("go_on")
	if _, ok := numbers["looked"]; !ok {
		return nil, ""
	}
	return &store.AttachedAgain{Looked: numbers["looked"], Attached: numbers["attached"], Failed: numbers["failed"]}, goOn
}

const (
	// attachTime is how long one request attaches facts; then the operator is asked to
	// continue.
	attachTime = 8 * time.Second
	attachStep = 400
)

// AttachForm handles the button that attaches facts again.
func (s *Pages) AttachForm(w http.ResponseWriter, r *http.Request) error {
	if err := core.Form(w, r); err != nil {
		return err
	}
	f, done, err := s.attachAgain(r)
	if err != nil {
		return err
	}
	back := withQuery(storeQuery(f.Store), "go_on", done.Next)
	for name, n := range map[string]int64{"looked": done.Looked, "attached": done.Attached, "failed": done.Failed} {
		back.Set(name, strconv.FormatInt(n, 10))
	}
	http.Redirect(w, r, offURL(f.Reason, "", back), http.StatusSeeOther)
	return nil
}

// attachAgain attaches the facts that are asked for step by step, for up to attachTime.
func (s *Pages) attachAgain(r *http.Request) (f store.OffFilter, done store.AttachedAgain, err error) {
	if f, err = offFilter(r); err != nil {
		return f, done, err
	}
	defer func() {
		s.audit(r, "an operator has facts attached again", "reason", f.Reason, "store", f.Store,
			"looked", done.Looked, "attached", done.Attached, "failed", done.Failed)
	}()
	for began := time.Now(); time.Since(began) < attachTime; {
		some, err := s.Cfg.Store.AttachAgain(r.Context(), f, attachStep)
		if err != nil {
			return f, done, err
		}
		done.Looked += some.Looked
		done.Attached += some.Attached
		done.Failed += some.Failed
		done.Error = cmp.Or(done.Error, some.Error)
		if f.Cursor, done.Next = some.Next, some.Next; some.Next == "" {
			break
		}
	}
	return f, done, nil
}

// ListOffReasons answers why facts are missing, with counts.
func (s *Pages) ListOffReasons(w http.ResponseWriter, r *http.Request) error {
	_, reasons, err := s.offReasons(r)
	return core.AnswerJSON(w, core.NewList(reasons, ""), err)
}

// ListOffFacts answers a page of the facts that are missing for a reason.
func (s *Pages) ListOffFacts(w http.ResponseWriter, r *http.Request) error {
	f, err := offFilter(r)
	if err != nil {
		return err
	}
	facts, next, err := checks.New(s.Cfg.Store).OffFacts(r.Context(), f)
	return core.AnswerJSON(w, core.NewList(facts, next), err)
}

// AttachAPI attaches facts again for a program.
func (s *Pages) AttachAPI(w http.ResponseWriter, r *http.Request) error {
	_, done, err := s.attachAgain(r)
	return core.AnswerJSON(w, done, err)
}

// offFilter is the filter of a request for the facts of a reason.
func offFilter(r *http.Request) (f store.OffFilter, err error) {
	q, err := core.Query(r)
	if err != nil {
		return f, err
	}
	if f, err = checks.ParseOffFilter(r.PathValue("reason"), q); err == nil {
		_, err = checks.WhyOff(f.Reason)
	}
	return f, err
}
