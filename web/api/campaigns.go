package api

import (
	"encoding/json"
	"errors"
	"net/http"

	"rollcall/store/campaigns"
	"rollcall/store/pg"
	"rollcall/web/core"
)

func (s *API) campaigns() *campaigns.Campaigns { return campaigns.New(s.Cfg.Store) }

// shownCampaign is a campaign in the API.
type shownCampaign struct {
	campaigns.Campaign
	Text string `json:"text"` // whom it is for, as a sentence
}

func (s *API) shownCampaigns(r *http.Request, all []campaigns.Campaign) ([]shownCampaign, error) {
	texts, err := s.campaigns().Texts(r.Context(), r.PathValue("store"), all)
	shown := []shownCampaign{}
	for i := range texts {
		all[i].CreatedBy = s.ShownAuthor(r, all[i].CreatedBy)
		shown = append(shown, shownCampaign{all[i], texts[i]})
	}
	return shown, err
}

func (s *API) writeCampaign(w http.ResponseWriter, r *http.Request, status int, c campaigns.Campaign) error {
	shown, err := s.shownCampaigns(r, []campaigns.Campaign{c})
	if err != nil {
		return err
	}
	core.WriteJSON(w, status, shown[0])
	return nil
}

// ListCampaigns answers a store's campaigns, the newest first.
func (s *API) ListCampaigns(w http.ResponseWriter, r *http.Request) error {
	all, err := s.campaigns().List(r.Context(), r.PathValue("store"))
	if err != nil {
		return err
	}
	shown, err := s.shownCampaigns(r, all)
	return core.AnswerJSON(w, core.NewList(shown, ""), err)
}

// newCampaign is the body of a request to make a campaign: of a recipe, or of all its parts.
type newCampaign struct {
	campaigns.FromRecipe
	Name        string            `json:"name"`
	Class       string            `json:"class"`
	Trigger     campaigns.Trigger `json:"trigger"`
	Audience    json.RawMessage   `json:"audience"`
	Goal        *campaigns.Test   `json:"goal"`
	Steps       []campaigns.Step  `json:"steps"`
	OnGoal      []campaigns.Step  `json:"on_goal"`
	Holdout     int               `json:"holdout"`
	Reentry     string            `json:"reentry"`
	ReentryDays int               `json:"reentry_days"`
	NotAfter    campaigns.Wait    `json:"not_after"`
	Within      campaigns.Wait    `json:"within"`
	Priority    int               `json:"priority"`
}

// usualPriority is that of a campaign which names none: as the form has it, in the middle.
const usualPriority = 5

// AddCampaign makes a draft.
func (s *API) AddCampaign(w http.ResponseWriter, r *http.Request) (err error) {
	sent := newCampaign{Priority: usualPriority}
	if err := core.ReadJSON(w, r, &sent); err != nil {
		return err
	}
	var c campaigns.Campaign
	store, author := r.PathValue("store"), core.Admitted(r).Name()
	if sent.Recipe != "" {
		c, err = s.campaigns().Make(r.Context(), store, sent.FromRecipe, author)
	} else {
		c, err = s.campaigns().Create(r.Context(), store, campaigns.Campaign{Name: sent.Name, Class: sent.Class,
			Trigger: sent.Trigger, Audience: sent.Audience, Goal: sent.Goal, Steps: sent.Steps, OnGoal: sent.OnGoal,
			Holdout: sent.Holdout, Reentry: sent.Reentry, ReentryDays: sent.ReentryDays, NotAfter: sent.NotAfter,
			Within: sent.Within, Priority: sent.Priority}, author)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Location", r.URL.EscapedPath()+"/"+c.ID)
	return s.writeCampaign(w, r, http.StatusCreated, c)
}

// ShowCampaign answers a campaign.
func (s *API) ShowCampaign(w http.ResponseWriter, r *http.Request) error {
	c, err := s.campaigns().Campaign(r.Context(), r.PathValue("store"), r.PathValue("campaign"))
	if err != nil {
		return err
	}
	return s.writeCampaign(w, r, http.StatusOK, c)
}

// EditCampaign changes a campaign.
func (s *API) EditCampaign(w http.ResponseWriter, r *http.Request) error {
	var sent campaigns.Change
	if err := core.ReadJSON(w, r, &sent); err != nil {
		return err
	}
	c, err := s.campaigns().Update(r.Context(), r.PathValue("store"), r.PathValue("campaign"), sent)
	if err != nil {
		return err
	}
	return s.writeCampaign(w, r, http.StatusOK, c)
}

// DeleteCampaign deletes a draft.
func (s *API) DeleteCampaign(w http.ResponseWriter, r *http.Request) error {
	return empty(w, s.campaigns().Delete(r.Context(), r.PathValue("store"), r.PathValue("campaign")))
}

// SwitchCampaign switches a campaign on, to a rehearsal, or off.
func (s *API) SwitchCampaign(w http.ResponseWriter, r *http.Request) error {
	var sent campaigns.Order
	if err := core.ReadJSON(w, r, &sent); err != nil {
		return err
	}
	now, err := s.Cfg.Store.Now(r.Context())
	if err != nil {
		return err
	}
	c, err := s.campaigns().Switch(r.Context(), r.PathValue("store"), r.PathValue("campaign"), sent, now)
	if err != nil {
		return err
	}
	return s.writeCampaign(w, r, http.StatusOK, c)
}

// shownPreview is a preview in the API.
type shownPreview struct {
	campaigns.Preview
	NextCursor *string `json:"next_cursor"`
}

// PreviewCampaign answers who would get mail of a campaign at a time, and who not and why.
func (s *API) PreviewCampaign(w http.ResponseWriter, r *http.Request) error {
	scope := "preview of " + r.PathValue("campaign") + " of " + r.PathValue("store")
	q, err := s.QueryWith(r, "cursor", scope)
	if err != nil {
		return err
	}
	var at, reason string
	of := campaigns.PreviewOf{Limit: pg.DefaultLimit}
	if err := pg.ReadParams(q, []pg.Param{{Name: "at", Value: &at}, {Name: "reason", Value: &reason},
		pg.CursorParam(&of.Cursor)}, &of.Limit); err != nil {
		return err
	}
	if q.Has("reason") {
		of.Reason = &reason
	}
	now, err := s.Cfg.Store.Now(r.Context())
	if err != nil {
		return err
	}
	all := s.campaigns()
	if of.At, err = all.At(r.Context(), r.PathValue("store"), at, now); err != nil {
		return err
	}
	var shown shownPreview
	err = s.Counting(r.Context(), false, func() (err error) {
		shown.Preview, err = all.Preview(r.Context(), r.PathValue("store"), r.PathValue("campaign"), of, now)
		return err
	})
	if err != nil {
		return err
	}
	for i := range shown.People {
		if p := &shown.People[i]; p.Customer != "" {
			p.Customer = s.IDs().Customer(p.Customer)
		}
	}
	if shown.Next != "" {
		next := s.IDs().Cursor(scope, shown.Next)
		shown.NextCursor = &next
	}
	core.WriteJSON(w, http.StatusOK, shown)
	return nil
}

// ShowResults answers what a campaign has come to.
func (s *API) ShowResults(w http.ResponseWriter, r *http.Request) error {
	now, err := s.Cfg.Store.Now(r.Context())
	if err != nil {
		return err
	}
	results, err := s.campaigns().Results(r.Context(), r.PathValue("store"), r.PathValue("campaign"), now)
	if errors.Is(err, campaigns.ErrCounting) {
		return core.ErrCounting
	}
	return core.AnswerJSON(w, results, err)
}

// ListTheirCampaigns answers what each campaign was for a customer, and why it was not.
func (s *API) ListTheirCampaigns(w http.ResponseWriter, r *http.Request) error {
	now, err := s.Cfg.Store.Now(r.Context())
	if err != nil {
		return err
	}
	all, err := s.campaigns().OfCustomer(r.Context(), r.PathValue("store"), r.PathValue("id"), now)
	return core.AnswerJSON(w, core.NewList(all, ""), err)
}
