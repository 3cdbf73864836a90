package creators

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"rollcall/store/customers"
	"rollcall/web/core"
)

// Which columns the list shows is a matter of its reader: a cookie of their browser names those that they hide, so that
// a new one shows. The style sheet hides them, in tables and on phones.

// columnsCookie is the name of the cookie.
const columnsCookie = "columns"

// aYear is how long it is kept, in seconds.
const aYear = 365 * 24 * 60 * 60

// listColumns are the columns that can be hidden.
var listColumns = []core.Option{{Value: "type", Label: "Type"}, {Value: "courses", Label: "Courses"},
	{Value: "tags", Label: "Tags"}, {Value: "spent", Label: "Spent"}, {Value: "expected", Label: "Expected"},
	{Value: "activity", Label: "Last activity"}, {Value: "joined", Label: "Joined"}}

// columnChoice is the choice of columns that a request brings; On: it shows. The one of what is expected is only
// offered if there is something.
func columnChoice(r *http.Request, expects bool) (all []core.Option) {
	var hidden []string
	if cookie, err := r.Cookie(columnsCookie); err == nil {
		hidden = strings.Split(cookie.Value, ".")
	}
	for _, c := range listColumns {
		if c.Value != "expected" || expects {
			c.On = !slices.Contains(hidden, c.Value)
			all = append(all, c)
		}
	}
	return all
}

// Hidden are the classes of a table without the columns that its reader hides.
func (p customersPage) Hidden() string {
	var classes []string
	for _, c := range p.Choice {
		if !c.On {
			classes = append(classes, "no-"+c.Value)
		}
	}
	return strings.Join(classes, " ")
}

// Shows tells whether a column shows.
func (p customersPage) Shows(column string) bool { return !strings.Contains(p.Hidden(), "no-"+column) }

// ColumnsForm keeps the choice of columns, and goes back to the list.
func (s *Pages) ColumnsForm(w http.ResponseWriter, r *http.Request) error {
	if err := core.Form(w, r); err != nil {
		return err
	}
	var hidden []string
	for _, c := range listColumns {
		if !slices.Contains(r.PostForm["show"], c.Value) && (c.Value != "expected" || r.PostForm.Has("expects")) {
			hidden = append(hidden, c.Value)
		}
	}
	http.SetCookie(w, &http.Cookie{Name: columnsCookie, Value: strings.Join(hidden, "."), Path: "/", MaxAge: aYear,
		Secure: s.ByHTTPS(r), HttpOnly: true, SameSite: http.SameSiteLaxMode})
	back := pathOf(r, "customers")
	if q, err := url.ParseQuery(r.PostForm.Get("query")); err == nil {
		if f, err := customers.ParseFilter(r.PathValue("store"), q); err == nil {
			back = core.Address(back, f.Values())
		}
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
	return nil
}
