package web

import (
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"rollcall/store"
	"rollcall/store/inbox"
)

// The pages for operators, under /admin.

// adminPage is what each of them has.
type adminPage struct {
	Here    string // which of tabs it belongs to
	Title   string
	Version string
}

func (s *Site) adminPage(here, title string) adminPage { return adminPage{here, title, s.cfg.Version} }

// isAdminPage tells whether a page for operators is asked for, to look at.
func isAdminPage(r *http.Request) bool {
	return (r.URL.Path == "/admin" || strings.HasPrefix(r.URL.Path, "/admin/")) && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

// tab is a link between the pages.
type tab struct{ Name, URL, Label string }

var tabs = []tab{
	{"health", "/admin", "Health"},
	{"events", "/admin/events", "Events"},
	{"unattached", "/admin/unattached", "Missing"},
	{"backfills", "/admin/backfills", "Backfills"},
	{"stores", "/admin/stores", "Stores"},
	{"queues", monitoringPath, "Queues"},
}

// adminFunctions are what the templates of these pages may call.
func (s *Site) adminFunctions() template.FuncMap {
	return template.FuncMap{
		"tabs":    func() []tab { return tabs },
		"lasted":  lasted,
		"waited":  func(t time.Time) string { return lasted(s.cfg.Now().Sub(t)) },
		"visible": visible,
		"number":  func(n int) string { return english.Sprint(n) },
		"many":    func(n int64, what string) string { return plural(int(n), what) },
		"reason":  func(reason string) string { return strings.ReplaceAll(reason, "_", " ") },
		"person":  func(who string) string { return strings.TrimPrefix(strings.TrimPrefix(who, "email:"), "user:") },
		"stands":  func(standing string) string { return standings[standing] },
		"exact":   func(t *time.Time) string { return t.UTC().Format("2 January 2006, 15:04:05 UTC") },
		"seconds": func(s float64) string { return lasted(time.Duration(s * float64(time.Second))) },
		"rate":    func(n float64) string { return english.Sprintf("%d a second", int64(n)) },
		"tries":   tries,
		"capital": func(text string) string { return strings.ToUpper(text[:1]) + text[1:] },
		"done":    func(b store.BackfillStream) string { return english.Sprintf("%d of %d", b.Chunks-b.Open, b.Chunks) },
	}
}

// lasted is a time as people say it, in the two units that matter.
func lasted(d time.Duration) string {
	d = max(0, d)
	switch {
	case d < time.Second:
		return english.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return english.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return english.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return english.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return plural(int(d.Hours()/24), "day")
}

func tries(n int) string {
	if n == 1 {
		return "1 try"
	}
	return english.Sprintf("%d tries", n)
}

// visible is text with what would hide in it, or turn around what stands beside
// it, written as JSON writes it.
func visible(text string) string {
	if !strings.ContainsFunc(text, hides) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if hides(r) {
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, `\u%04x`, unit)
			}
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// hides tells whether a character has no looks of its own: controls, and the
// marks that order text from right to left.
func hides(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Co, unicode.Cc, unicode.Zl, unicode.Zp) && r != '\n' && r != '\t'
}

// isPartOf tells whether a script of ours asks for the part of a page with an id.
func isPartOf(r *http.Request, id string) bool {
	return isPart(r) && r.Header.Get("HX-Target") == id
}

// audit writes down what an operator did, and from where.
func (s *Site) audit(r *http.Request, what string, more ...any) {
	s.cfg.Log.Info(what, slices.Concat([]any{"who", admitted(r).name(), "from", s.client(r).Addr()}, more)...)
}

// form reads a form that was sent to a page.
func form(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return errForm
	}
	return nil
}

// standings are what became of an event's word about a fact.
var standings = map[string]string{
	inbox.Stands:  "is the latest word",
	inbox.Partly:  "partly overtaken by a newer word",
	inbox.Newer:   "overtaken by a newer word",
	inbox.Named:   "only names it",
	inbox.NotKept: "not applied",
}
