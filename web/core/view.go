package core

import (
	"bytes"
	"cmp"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"net/http"
	"runtime"
	"strings"
	"time"

	"rollcall/internal/show"
	"rollcall/store"
	"rollcall/store/customers"
)

// View is how a page writes numbers and times, for the person who reads it.
type View struct {
	locale     *show.Locale
	zone       *time.Location // of the store, else of the reader's browser, else UTC
	readers    bool           // the zone is the browser's, as far as it is known
	currencies []string       // in the order to show
}

// plainView is that of pages which know nothing of their reader.
var plainView = View{locale: show.English, zone: time.UTC}

// viewOf is the view of a person's browser on a store. The script of pages names the browser's
// time zone in a cookie.
func viewOf(r *http.Request, of customers.Around) View {
	return View{localeOf(r), of.Zone(zoneOf(r)), of.Zone(nil) == nil, of.Currencies}
}

// zoneOf is the time zone of a person's browser; UTC if it is not known.
func zoneOf(r *http.Request) *time.Location {
	if own, err := r.Cookie("zone"); err == nil {
		return cmp.Or(show.Zone(own.Value), time.UTC)
	}
	return time.UTC
}

// localeOf is the locale of a person's browser.
func localeOf(r *http.Request) *show.Locale {
	return show.LocaleFor(strings.Join(r.Header.Values("Accept-Language"), ","))
}

// viewed is the data of a page that knows its reader.
type viewed interface{ view() View }

// press is a copy of the templates with a view of its own, which their functions
// follow. One page at a time is written with it.
type press struct {
	*template.Template
	View
	now      func() time.Time
	pictures bool
}

// newPresses makes as many copies of the templates as can be busy at once: pages are
// written to memory, so that a press never waits for a reader.
func (s *Site) newPresses(files fs.FS) (chan *press, error) {
	first := &press{now: s.Cfg.Now, pictures: s.Cfg.Pictures}
	all := s.functions()
	maps.Copy(all, first.functions())
	parsed, err := template.New("").Funcs(all).ParseFS(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	presses := make(chan *press, runtime.GOMAXPROCS(0))
	for range cap(presses) {
		p := &press{now: s.Cfg.Now, pictures: s.Cfg.Pictures}
		if p.Template, err = parsed.Clone(); err != nil {
			return nil, err
		}
		p.Funcs(p.functions())
		presses <- p
	}
	return presses, nil
}

// write writes a page into memory, for the reader that its data knows.
func (s *Site) write(text *bytes.Buffer, name string, data any) error {
	p := s.press(data)
	defer func() { s.presses <- p }()
	return p.ExecuteTemplate(text, name, data)
}

// press waits for a press that is free, and sets it for the reader that data knows.
func (s *Site) press(data any) *press {
	p := <-s.presses
	p.View = plainView
	if v, ok := data.(viewed); ok {
		p.View = v.view()
	}
	return p
}

// functions are those that depend on the view. Times are a time.Time or a *time.Time.
func (p *press) functions() template.FuncMap {
	return template.FuncMap{
		"money":    func(m store.Money) string { return p.locale.Money(m) },
		"ordered":  func(all []store.Money) []store.Money { return show.Ordered(all, p.currencies) },
		"sentence": func(c customers.Customer) string { return Did(c, p.locale) },
		"sum":      func(all []store.Money) string { return p.locale.Monies(all) },
		"rows":     p.rows,
		"more":     p.more,
		"count":    func(n int64) string { return p.locale.Number(n) },
		"number":   p.number,
		"plural":   func(n int, what string) string { return p.locale.Plural(int64(n), what) },
		"many":     func(n int64, what string) string { return p.locale.Plural(n, what) },
		"share":    func(of100 float64) string { return p.locale.Percent(of100) },

		"ago":       func(t any) string { return show.Since(p.now(), momentOf(t)) },
		"day":       func(t any) string { return show.Day(p.local(t)) },
		"moment":    func(t any) string { return show.Moment(p.local(t)) },
		"clocktext": p.hour,
		"exact":     func(t any) string { return show.Exact(p.local(t)) },

		"since": p.since,
		"on":    func(t any) template.HTML { return element(t, show.Day(p.local(t))) },
		"hour":  func(t any) template.HTML { return element(t, p.hour(t)) },
	}
}

func (p *press) number(n int) string { return p.locale.Number(int64(n)) }

// since says how long ago a time is.
func (p *press) since(t any) template.HTML { return element(t, show.Since(p.now(), p.local(t))) }

// sinceShort is since for a table, where there is little room.
func (p *press) sinceShort(t any) template.HTML {
	return element(t, show.SinceShort(p.now(), p.local(t)))
}

// more is what a list has beyond those shown: +7 more. It is empty if all are.
func (p *press) more(list []store.Money, shown int) string {
	if n := len(list) - shown; n > 0 {
		return "+" + p.locale.Number(int64(n)) + " more"
	}
	return ""
}

// local is a time in the zone of the page.
func (p *press) local(t any) time.Time { return momentOf(t).In(p.zone) }

// hour is the time of day, beside a day in the same zone.
func (p *press) hour(t any) string {
	if p.zone == time.UTC {
		return p.local(t).Format("15:04 UTC")
	}
	return p.local(t).Format("15:04")
}

// element is a time as HTML; programs and tooltips have it in UTC.
func element(t any, text string) template.HTML {
	at := momentOf(t).UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`, //nolint:gosec // digits and letters
		at.Format(time.RFC3339), show.Moment(at), template.HTMLEscapeString(text)))
}

// momentOf is a time that a template has, or has the address of.
func momentOf(t any) time.Time {
	if at, ok := t.(*time.Time); ok {
		return *at
	}
	return t.(time.Time)
}
