package api

import (
	"net/http"

	"rollcall/store/campaigns"
	"rollcall/store/customers"
	storemail "rollcall/store/mail"
	"rollcall/store/pg"
	"rollcall/web/core"
)

func (s *API) recipients() *storemail.Recipients { return storemail.NewRecipients(s.Cfg.Store) }

// ListStops answers who a store does not mail any more, the newest first.
func (s *API) ListStops(w http.ResponseWriter, r *http.Request) error {
	f := storemail.StopFilter{Store: r.PathValue("store"), Limit: pg.DefaultLimit}
	scope := "stops of " + f.Store
	q, err := s.QueryWith(r, "cursor", scope)
	if err != nil {
		return err
	}
	if err := pg.ReadParams(q, []pg.Param{pg.CursorParam(&f.Cursor)}, &f.Limit); err != nil {
		return err
	}
	var page []storemail.Stopped
	var next string
	if err := s.Counting(r.Context(), false, func() (err error) {
		page, next, err = s.recipients().AllStops(r.Context(), f)
		return err
	}); err != nil {
		return err
	}
	for i := range page {
		page[i].By = s.ShownAuthor(r, page[i].By)
		if page[i].Customer != "" {
			page[i].Customer = s.IDs().Customer(page[i].Customer)
		}
	}
	core.WriteJSON(w, http.StatusOK, core.NewList(page, s.IDs().Cursor(scope, next)))
	return nil
}

// ListTheirStops answers why a customer is not mailed.
func (s *API) ListTheirStops(w http.ResponseWriter, r *http.Request) error {
	id, err := pg.CustomerID(r.PathValue("store"), r.PathValue("id"))
	if err != nil {
		return err
	}
	stops, err := s.recipients().Stops(r.Context(), r.PathValue("store"), id)
	if err == nil && len(stops) == 0 {
		_, err = customers.New(s.Cfg.Store).Customer(r.Context(), r.PathValue("store"), r.PathValue("id"))
	}
	if err != nil {
		return err
	}
	for i := range stops {
		stops[i].By = s.ShownAuthor(r, stops[i].By)
	}
	core.WriteJSON(w, http.StatusOK, core.NewList(stops, ""))
	return nil
}

// PutStop ends all mail of a store to a customer.
func (s *API) PutStop(w http.ResponseWriter, r *http.Request) error {
	id, err := pg.CustomerID(r.PathValue("store"), r.PathValue("id"))
	if err != nil {
		return err
	}
	now, err := s.Cfg.Store.Now(r.Context())
	if err != nil {
		return err
	}
	return empty(w, s.recipients().StopByHand(r.Context(), r.PathValue("store"), id, core.Admitted(r).Name(), now))
}

// TakeStop takes that back.
func (s *API) TakeStop(w http.ResponseWriter, r *http.Request) error {
	id, err := pg.CustomerID(r.PathValue("store"), r.PathValue("id"))
	if err != nil {
		return err
	}
	return empty(w, s.recipients().LiftByHand(r.Context(), r.PathValue("store"), id))
}

// consentsBody is the body of a request to import consents.
type consentsBody struct {
	Consents []map[string]any `json:"consents"` // each as a line of a file, see storemail.ConsentColumns
}

// ImportConsents keeps what customers of a store agreed to elsewhere: all of it, or nothing.
func (s *API) ImportConsents(w http.ResponseWriter, r *http.Request) error {
	var sent consentsBody
	if err := core.ReadJSON(w, r, &sent); err != nil {
		return err
	}
	now, err := s.Cfg.Store.Now(r.Context())
	if err != nil {
		return err
	}
	events, err := storemail.ConsentsOf(r.PathValue("store"), sent.Consents, now)
	if err != nil {
		return err
	}
	added, err := s.recipients().ImportConsents(r.Context(), events, core.Admitted(r).Name())
	if err != nil {
		return err
	}
	core.WriteJSON(w, http.StatusAccepted, map[string]int{"consents": len(events), "new": added})
	return nil
}

// testBody is the body of a request to send a test.
type testBody struct {
	Step    string `json:"step"`
	Variant string `json:"variant"`
	To      string `json:"to"`
}

// TestCampaign sends a mail of a campaign to one of the store's own people.
func (s *API) TestCampaign(w http.ResponseWriter, r *http.Request) error {
	sent := testBody{Variant: "a"}
	if err := core.ReadJSON(w, r, &sent); err != nil {
		return err
	}
	now, err := s.Cfg.Store.Now(r.Context())
	if err != nil {
		return err
	}
	if err := s.campaigns().TestMail(r.Context(), r.PathValue("store"), r.PathValue("campaign"), sent.Step,
		sent.Variant, sent.To, now); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// shownRecipe is a recipe in the API.
type shownRecipe struct {
	Name    string            `json:"name"`
	Label   string            `json:"label"`
	Why     string            `json:"why"`
	Class   string            `json:"class"`
	Trigger campaigns.Trigger `json:"trigger"`
	Goal    *campaigns.Test   `json:"goal"`
	Steps   []campaigns.Step  `json:"steps"`
	Product bool              `json:"product"` // it needs one
}

// ListRecipes answers what campaigns can be made of.
func (s *API) ListRecipes(w http.ResponseWriter, _ *http.Request) error {
	shown := make([]shownRecipe, len(campaigns.Recipes))
	for i, r := range campaigns.Recipes {
		r.Trigger.Courses = []string{}
		shown[i] = shownRecipe{r.Name, r.Label, r.Why, r.Class, r.Trigger, r.Goal, r.Steps, r.Product}
	}
	core.WriteJSON(w, http.StatusOK, core.NewList(shown, ""))
	return nil
}
