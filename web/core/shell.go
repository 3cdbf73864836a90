package core

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"time"

	"rollcall/internal/show"
	"rollcall/store/customers"
)

// Shell is what surrounds each page of creators: the bar at the top and the foot. Their
// pages' data embeds it.
type Shell struct {
	customers.Around
	Here    string // name of the link in the bar that is current; empty: none
	Links   []tab
	IsAdmin bool
	Version string
	look    View
	again   bool // the page can be loaded again, as nothing is done by that
}

// view makes pages follow the reader of the shell.
func (s Shell) view() View { return s.look }

// Locale is that of the page.
func (s Shell) Locale() *show.Locale { return s.look.locale }

// Zone is the time zone of the page: the store's, or UTC.
func (s Shell) Zone() *time.Location { return cmp.Or(s.look.zone, time.UTC) }

// ReadersZone is the time zone that the page took for its reader's. The script loads it once more if
// the browser has another; empty: it must not.
func (s Shell) ReadersZone() string {
	if !s.look.readers || !s.again {
		return ""
	}
	return s.Zone().String()
}

// Shell makes the shell of a page about the store in the path.
func (s *Site) Shell(r *http.Request, here string) (Shell, error) {
	v, id := Admitted(r), r.PathValue("store")
	around, err := customers.New(s.Cfg.Store).Around(r.Context(), v.User, id)
	shell := Shell{Around: around, Here: here, IsAdmin: v.Admin, Version: s.Cfg.Version, look: viewOf(r, around),
		again: r.Method == http.MethodGet}
	if v.Admin {
		shell.Person = "Operator"
	} else if v.Store != "" {
		shell.Person = "API token"
	}
	if id == "" {
		return shell, err // a page about no store
	}
	base := "/store/" + url.PathEscape(id)
	shell.Links = []tab{{"customers", base + "/customers", "Customers"}, {"segments", base + "/segments", "Segments"},
		{"value", base + "/value", "Value"}, {"mail", base + "/mail", "Mail"}}
	if v.Store == "" { // settings are for people
		shell.Links = append(shell.Links, tab{"settings", base + "/settings", "Settings"})
	}
	return shell, err
}

// Has tells whether the bar has a link of this name.
func (s Shell) Has(name string) bool {
	return slices.ContainsFunc(s.Links, func(t tab) bool { return t.Name == name })
}

// Elsewhere are the visitor's stores but the one of the page.
func (s Shell) Elsewhere() (others []customers.StoreName) {
	for _, one := range s.Stores {
		if one.ID != s.Around.Store.ID {
			others = append(others, one)
		}
	}
	return others
}

// Called is what the visitor is called.
func (s Shell) Called() string { return cmp.Or(s.Person, "You") }

// Monogram are the visitor's first letters.
func (s Shell) Monogram() string { return monogram(s.Called(), "You") }
