package creators

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"

	"rollcall/internal/show"
	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/web/core"
)

// settingsPage is the data of settings.html.
type settingsPage struct {
	core.Shell
	core.TokenList
	Members    []customers.Member
	Zones      []core.Option
	Currencies string // as typed or set
	Used       string // currencies of the store's revenue
	Saved      bool
	Made       *customers.MadeToken
	Mail       *mailSettings
}

var (
	errPeopleOnly = &core.Failure{Status: http.StatusForbidden, Code: "forbidden",
		Message: "Settings are for people. API tokens cannot read or change them."}
	errNotOwner = &core.Failure{Status: http.StatusForbidden, Code: "forbidden",
		Message: "Only the owner of the store can change its settings."}
)

// Settings shows a store's settings.
func (s *Pages) Settings(w http.ResponseWriter, r *http.Request) error {
	page, err := s.newSettingsPage(r)
	if err != nil {
		return err
	}
	page.Saved = r.URL.Query().Has("saved")
	return s.showSettings(w, r, page)
}

// newSettingsPage is the page for a visitor who may see it.
func (s *Pages) newSettingsPage(r *http.Request) (page settingsPage, err error) {
	if core.Admitted(r).Store != "" {
		return page, errPeopleOnly
	}
	if page.Shell, err = s.Shell(r, "settings"); err != nil {
		return page, err
	}
	page.URL, page.May = pathOf(r, "settings"), page.IsAdmin || page.Owner
	page.Currencies = strings.ToUpper(strings.Join(page.Settings.Currencies, " "))
	page.Wrong = map[string]string{}
	return page, nil
}

// changing is the page for a visitor who may change it, with the form of the request read.
func (s *Pages) changing(w http.ResponseWriter, r *http.Request) (settingsPage, error) {
	page, err := s.newSettingsPage(r)
	if err == nil && !page.May {
		err = errNotOwner
	}
	if err == nil {
		err = core.Form(w, r)
	}
	return page, err
}

// showSettings reads and writes the page.
func (s *Pages) showSettings(w http.ResponseWriter, r *http.Request, page settingsPage) (err error) {
	reader, id := customers.New(s.Cfg.Store), r.PathValue("store")
	if page.Members, err = reader.Members(r.Context(), id); err != nil {
		return err
	}
	if err := s.AddTokens(r.Context(), id, &page.TokenList); err != nil {
		return err
	}
	zones, err := s.zones(r)
	if err != nil {
		return err
	}
	if show.Zone(page.Reported) != nil {
		zones = slices.Clone(zones)
		zones[0].Label = "As your platform reports it: " + place(page.Reported)
	}
	page.Zones = core.Menu{Options: zones}.Choose(page.TimeZone).Options
	st, err := reader.Stats(r.Context(), customers.Filter{Store: id})
	if err != nil {
		return err
	}
	for _, m := range st.Revenue {
		page.Used += " " + strings.ToUpper(m.Currency)
	}
	if err := s.mailSettings(r, &page); err != nil {
		return err
	}
	status := http.StatusOK
	if len(page.Wrong) > 0 {
		status = http.StatusBadRequest
	}
	return s.Page(w, status, "settings.html", page)
}

// zoneList keeps the time zones: Postgres takes a while to list them.
type zoneList struct {
	mu  sync.Mutex
	all []core.Option
}

// zones are the time zones to choose from.
func (s *Pages) zones(r *http.Request) ([]core.Option, error) {
	s.zoneList.mu.Lock()
	defer s.zoneList.mu.Unlock()
	if s.zoneList.all != nil {
		return s.zoneList.all, nil
	}
	names, err := customers.New(s.Cfg.Store).TimeZones(r.Context())
	if err != nil {
		return nil, err
	}
	all := []core.Option{{Label: "That of each reader’s browser"}}
	for _, name := range names {
		all = append(all, core.Option{Value: name, Label: place(name)})
	}
	s.zoneList.all = all
	return all, nil
}

// place is the name of a time zone, for people.
func place(zone string) string { return strings.ReplaceAll(zone, "_", " ") }

// SettingsForm handles the form of time zone and currencies.
func (s *Pages) SettingsForm(w http.ResponseWriter, r *http.Request) error {
	page, err := s.changing(w, r)
	if err != nil {
		return err
	}
	page.Currencies, page.TimeZone = r.PostForm.Get("currencies"), r.PostForm.Get("time_zone")
	codes, err := customers.ParseCurrencies(page.Currencies)
	if err == nil {
		err = customers.New(s.Cfg.Store).SaveSettings(r.Context(), r.PathValue("store"),
			customers.Settings{TimeZone: page.TimeZone, Currencies: codes})
	}
	if page.refused(err) {
		return s.showSettings(w, r, page)
	}
	if err == nil {
		http.Redirect(w, r, page.URL+"?saved=1", http.StatusSeeOther)
	}
	return err
}

// refused marks the field that an error is about, if it is about one.
func (p *settingsPage) refused(err error) bool {
	wrong, is := errors.AsType[*pg.BadParam](err)
	if is {
		p.Wrong[wrong.Name] = wrong.Reason
	}
	return is
}
