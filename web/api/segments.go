package api

import (
	"cmp"
	"encoding/json"
	"net/http"
	"time"

	"rollcall/store/customers"
	"rollcall/store/segments"
	"rollcall/web/core"
)

// segmentBody is the body of a request to make a segment.
type segmentBody struct {
	Name    string          `json:"name"`
	Kind    string          `json:"kind"` // empty: dynamic
	Rule    json.RawMessage `json:"rule"`
	Pinned  bool            `json:"pinned"`
	Watched bool            `json:"watched"`
}

// ListSegments answers a store's segments: those that are ready-made, then its own by name.
func (s *API) ListSegments(w http.ResponseWriter, r *http.Request) error {
	if err := s.mentioned(r); err != nil {
		return err
	}
	all, err := segments.New(s.Cfg.Store).List(r.Context(), r.PathValue("store"))
	if err != nil {
		return err
	}
	shown, err := s.shownSegments(r, all)
	return core.AnswerJSON(w, core.NewList(shown, ""), err)
}

// AddSegment makes a segment of a store.
func (s *API) AddSegment(w http.ResponseWriter, r *http.Request) error {
	var sent segmentBody
	if err := core.ReadJSON(w, r, &sent); err != nil {
		return err
	}
	if err := s.mentioned(r); err != nil {
		return err
	}
	g, err := segments.New(s.Cfg.Store).Create(r.Context(), r.PathValue("store"), segments.Segment{Name: sent.Name,
		Kind: cmp.Or(sent.Kind, segments.Dynamic), Rule: sent.Rule, Pinned: sent.Pinned, Watched: sent.Watched},
		core.Admitted(r).Name())
	if err != nil {
		return err
	}
	w.Header().Set("Location", r.URL.EscapedPath()+"/"+g.ID)
	return s.writeSegment(w, r, http.StatusCreated, g)
}

// ShowSegment answers a segment.
func (s *API) ShowSegment(w http.ResponseWriter, r *http.Request) error {
	if err := s.mentioned(r); err != nil { // every store has the ready-made ones
		return err
	}
	g, err := segments.New(s.Cfg.Store).Segment(r.Context(), r.PathValue("store"), r.PathValue("segment"))
	if err != nil {
		return err
	}
	return s.writeSegment(w, r, http.StatusOK, g)
}

// EditSegment changes a segment.
func (s *API) EditSegment(w http.ResponseWriter, r *http.Request) error {
	var sent segments.Change
	if err := core.ReadJSON(w, r, &sent); err != nil {
		return err
	}
	if err := s.mentioned(r); err != nil {
		return err
	}
	g, err := segments.New(s.Cfg.Store).Update(r.Context(), r.PathValue("store"), r.PathValue("segment"), sent)
	if err != nil {
		return err
	}
	return s.writeSegment(w, r, http.StatusOK, g)
}

// DeleteSegment deletes a segment that no other one uses.
func (s *API) DeleteSegment(w http.ResponseWriter, r *http.Request) error {
	return empty(w, segments.New(s.Cfg.Store).Delete(r.Context(), r.PathValue("store"), r.PathValue("segment")))
}

// shownSegment is a segment in the API.
type shownSegment struct {
	segments.Segment
	Text string `json:"text"` // the rule as a sentence
}

func (s *API) shownSegments(r *http.Request, all []segments.Segment) ([]shownSegment, error) {
	texts, err := segments.New(s.Cfg.Store).Texts(r.Context(), r.PathValue("store"), all)
	shown := make([]shownSegment, len(all))
	for i, g := range all {
		g.CreatedBy = s.ShownAuthor(r, g.CreatedBy)
		shown[i] = shownSegment{g, texts[i]}
	}
	return shown, err
}

func (s *API) writeSegment(w http.ResponseWriter, r *http.Request, status int, g segments.Segment) error {
	shown, err := s.shownSegments(r, []segments.Segment{g})
	if err != nil {
		return err
	}
	core.WriteJSON(w, status, shown[0])
	return nil
}

// previewBody is the body of a request to try a rule.
type previewBody struct {
	Rule json.RawMessage `json:"rule"`
}

// previewed is what a rule would be as a segment.
type previewed struct {
	Text      string               `json:"text"` // the rule as a sentence
	Count     int64                `json:"count"`
	Customers []customers.Customer `json:"customers"` // some
}

// previewPeople is how many customers a preview shows.
const previewPeople = 20

// PreviewSegment answers how many customers a rule matches, and some of them.
func (s *API) PreviewSegment(w http.ResponseWriter, r *http.Request) error {
	var sent previewBody
	if err := core.ReadJSON(w, r, &sent); err != nil {
		return err
	}
	rule, err := customers.ParseRule(string(sent.Rule))
	if err != nil {
		return err
	}
	filter, all := customers.Filter{Store: r.PathValue("store"), Rule: rule.String(), Limit: previewPeople},
		customers.New(s.Cfg.Store)
	var shown previewed
	err = s.Counting(r.Context(), false, func() (err error) {
		shown.Count, err = all.Count(r.Context(), filter)
		return err
	})
	if err == nil {
		shown.Customers, _, err = all.Customers(r.Context(), filter)
	}
	if err == nil {
		shown.Text, err = all.RuleText(r.Context(), filter.Store, rule)
	}
	if err != nil {
		return err
	}
	s.IDs().Customers(shown.Customers)
	core.WriteJSON(w, http.StatusOK, shown)
	return nil
}

// PutMember puts a customer into a static segment.
func (s *API) PutMember(w http.ResponseWriter, r *http.Request) error {
	return empty(w, segments.New(s.Cfg.Store).Include(r.Context(),
		r.PathValue("store"), r.PathValue("id"), r.PathValue("segment"), core.Admitted(r).Name()))
}

// TakeMember takes a customer out of a static segment.
func (s *API) TakeMember(w http.ResponseWriter, r *http.Request) error {
	return empty(w, segments.New(s.Cfg.Store).Exclude(r.Context(),
		r.PathValue("store"), r.PathValue("id"), r.PathValue("segment")))
}

// shownMove is a move in the API.
type shownMove struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"` // in or out
	Customer *string   `json:"customer"`
	At       time.Time `json:"at"`
}

// ListMoves answers entries to and exits from a watched segment, the oldest first. The id of
// the last one is the cursor from which to go on, whenever.
func (s *API) ListMoves(w http.ResponseWriter, r *http.Request) error {
	page, err := core.PageBy(r, func(cursor string) (int64, bool) { return s.IDs().Number(core.MoveID, cursor) })
	if err == nil {
		err = s.mentioned(r)
	}
	if err != nil {
		return err
	}
	found, err := segments.New(s.Cfg.Store).Moves(r.Context(), r.PathValue("store"), r.PathValue("segment"),
		page.From, page.Limit+1)
	if err != nil {
		return err
	}
	moves := []shownMove{}
	for _, m := range found {
		shown := shownMove{ID: s.IDs().ID(core.MoveID, m.ID), Kind: m.Kind, At: m.At}
		if m.Customer != nil {
			id := s.IDs().ID(core.CustomerID, *m.Customer)
			shown.Customer = &id
		}
		moves = append(moves, shown)
	}
	core.WriteJSON(w, http.StatusOK, core.CutBy(moves, page.Limit, func(m shownMove) string { return m.ID }))
	return nil
}

// whyAnswer is why a customer is in a segment, or is not.
type whyAnswer struct {
	Customer string        `json:"customer"`
	In       bool          `json:"in"`
	Why      customers.Why `json:"why"`
}

// WhySegment answers why the customer in the query is in a segment, or is not.
func (s *API) WhySegment(w http.ResponseWriter, r *http.Request) error {
	number, err := s.AskedCustomer(r)
	if err != nil {
		return err
	}
	_, why, c, err := segments.New(s.Cfg.Store).Why(r.Context(), r.PathValue("store"), r.PathValue("segment"), number)
	if err != nil {
		return err
	}
	core.WriteJSON(w, http.StatusOK, whyAnswer{s.IDs().Customer(c.ID), why.Met, why})
	return nil
}
