package core

import (
	"html/template"
	"math"
	"slices"
	"strings"

	"rollcall/internal/show"
	"rollcall/store"
	"rollcall/store/customers"
)

// typeIcons are the icons of types of customers.
var typeIcons = map[string]string{"lead": "gift", "paying": "cart", "subscription": "crown"}

// typeIcon draws the icon of a type of customers.
func typeIcon(kind string) template.HTML {
	drawn, _ := icon(typeIcons[kind]) // there is one for each
	return drawn
}

// Did says in a sentence what a customer did last.
func Did(c customers.Customer, locale *show.Locale) string {
	of := c.LastActivityOf.Title
	if of == "" {
		return activities[c.LastActivity]
	}
	if c.LastActivity == "progress" {
		i := slices.IndexFunc(c.Courses, func(x customers.Course) bool { return x.ID == c.LastActivityOf.ID })
		if i >= 0 {
			return "Reached " + locale.Percent(c.Courses[i].Progress) + " in " + of
		}
	}
	if verb := verbs[c.LastActivity]; verb != "" {
		return verb + " " + of
	}
	return activities[c.LastActivity]
}

// verbs are what customers did, before what they did it to.
var verbs = map[string]string{
	"enrollment":      "Enrolled in",
	"progress":        "Progressed in",
	"completion":      "Finished",
	"course_purchase": "Bought",
	"purchase":        "Bought",
	"subscription":    "Subscribed to",
	"payment":         "Paid for",
}

// mainOf is what a row of the list shows of a customer's courses and products: one by
// name, and how many more there are.
type mainOf struct {
	Course  *customers.Course
	Product string // if there is no course
	More    int
}

// mainCourse chooses the course that the customer was in last, else the newest.
func mainCourse(c customers.Customer) (m mainOf) {
	others := products(c)
	m.More = max(0, len(c.Courses)+len(others)-1)
	for i := range c.Courses {
		if m.Course = &c.Courses[i]; m.Course.ID == c.LastActivityOf.ID {
			break
		}
	}
	if m.Course == nil && len(others) > 0 {
		m.Product = others[len(others)-1]
	}
	return m
}

// worth is what a row shows of the money of a customer.
type worth struct {
	Main     *store.Money
	Returned string       // how all of it was lost: Refunded or Disputed; empty if it was not
	Other    *store.Money // in the second of two currencies
	More     int          // further currencies, if there are more than two
	Back     *store.Money // refunded
	Lost     *store.Money // of what was paid in Main's currency, as far as the row knows it: disputed
}

// worthOf chooses what a row shows of what was spent, in the order to show.
func worthOf(c customers.Customer, spent []store.Money) (w worth) {
	if len(c.Refunded) > 0 {
		w.Back = &c.Refunded[0]
	}
	if len(spent) == 0 {
		return w
	}
	w.Main = &spent[0]
	w.Lost = lost(c, *w.Main)
	switch len(spent) {
	case 1:
		if w.Main.Amount == 0 {
			w.Returned = "Refunded"
			if w.Back == nil || w.Lost != nil { // only payments of money are counted
				w.Returned = "Disputed"
			}
		}
	case 2:
		w.Other = &spent[1]
	default:
		w.More = len(spent) - 1
	}
	return w
}

// lost is what disputes took of the purchases in a currency; nil: nothing that can be seen. The row does not say it: it
// is what is missing in the net sum. What subscriptions brought hides as much of it.
func lost(c customers.Customer, net store.Money) *store.Money {
	kept := -net.Amount
	for _, p := range c.Purchases {
		if p.Currency == net.Currency {
			kept += p.Amount - p.Refunded
		}
	}
	if kept <= 0 {
		return nil
	}
	return &store.Money{Amount: kept, Currency: net.Currency}
}

// markup is HTML in the making. A list has fifty rows and some forty filters with hundreds
// of options, and for those a template takes several times as long.
type markup struct{ strings.Builder }

// add adds a text with the arguments in place of each %s. They are escaped, but for those that are HTML.
func (m *markup) add(text string, args ...any) {
	for _, a := range args {
		before, after, _ := strings.Cut(text, "%s")
		m.WriteString(before)
		if drawn, ok := a.(template.HTML); ok {
			m.WriteString(string(drawn))
		} else {
			m.WriteString(template.HTMLEscaper(a))
		}
		text = after
	}
	m.WriteString(text)
}

// html is what was added.
func (m *markup) html() template.HTML { return template.HTML(m.String()) } //nolint:gosec // add escapes

// Row is a customer in the list, and where their page is.
type Row struct {
	*customers.Customer
	URL string
}

// aRow is about the size of a row, in bytes.
const aRow = 1536

// rows are the rows of the list. expects: there is a column for what is expected.
func (p *press) rows(all []Row, expects bool) template.HTML {
	var m markup
	m.Grow(len(all) * aRow)
	for _, r := range all {
		p.row(&m, r.Customer, r.URL, expects)
	}
	return m.html()
}

func (p *press) row(m *markup, c *customers.Customer, link string, expects bool) {
	called, did := Called(*c), Did(*c, p.locale)
	m.add(`<tr class="person">
<td class="c"><input type="checkbox" name="id" value="%s" form="chosen" aria-label="Select %s" data-email="%s"></td>
<td class="who"><div>
<a class="face %s" href="%s" tabindex="-1" aria-hidden="true">%s</a>
<div><h2><a href="%s"><bdi>%s</bdi></a></h2>
`, c.ID, called, c.Email, hue(c.Email), link, p.face(c), link, called)
	if called != c.Email {
		m.add(`<p class="mail"><bdi>%s</bdi></p>`, c.Email)
	}
	inactive := c.Status == "inactive"
	m.add("\n"+`<p class="narrow-only did"><span class="of-type">%s`, show.Types[c.Type])
	if inactive {
		m.add(`, inactive`)
	}
	m.add(`</span>`)
	if c.LastActivityAt != nil {
		m.add(`<span class="of-act"><i class="of-type"> · </i><bdi>%s</bdi> · %s</span>`, did, p.sinceShort(c.LastActivityAt))
	}
	m.add(`</p>`)
	if len(c.Tags) > 0 {
		m.add(`<div class="narrow-only">`)
		p.tags(m, c.Tags)
		m.add(`</div>`)
	}
	m.add(`</div>
</div></td>
<td class="wide-only sort-of"><span class="pill %s">%s%s</span>`, c.Type, typeIcon(c.Type), show.Types[c.Type])
	if inactive {
		m.add(` <small class="inactive">Inactive</small>`)
	}
	m.add("</td>\n" + `<td class="wide-only courses">`)
	p.courses(m, c)
	m.add("</td>\n" + `<td class="r spent">`)
	p.spent(m, worthOf(*c, show.Ordered(c.TotalSpent, p.currencies)))
	if expects {
		m.add("</td>\n" + `<td class="wide-only r expects">`)
		p.expected(m, c.Forecast)
	}
	m.add("</td>\n" + `<td class="wide-only act">`)
	if c.LastActivityAt != nil {
		m.add(`<bdi>%s</bdi><small>%s</small>`, did, p.sinceShort(c.LastActivityAt))
	}
	m.add("</td>\n" + `<td class="wide-only r joined">`)
	if c.FirstSeenAt != nil {
		m.add(`%s`, element(c.FirstSeenAt, show.DayShort(p.now(), p.local(c.FirstSeenAt))))
	}
	m.add("</td>\n</tr>\n")
}

// expected adds what a customer is expected to spend, and how likely they are to buy again. It is 1 of those who bought
// once, of whom the model cannot say it.
func (p *press) expected(m *markup, f *customers.Forecast) {
	if f == nil {
		return
	}
	m.add(`%s`, p.locale.Money(store.Money{Amount: f.Expected, Currency: f.Currency}))
	if f.Alive < 1 {
		m.add(`<small title="May buy again">%s again</small>`, p.locale.Percent(math.Round(100*f.Alive)))
	}
}

// face is the picture of a customer, or the initials. A picture's URL is Clerk's.
func (p *press) face(c *customers.Customer) template.HTML {
	var m markup
	if p.pictures && c.ImageURL != nil && strings.HasPrefix(*c.ImageURL, "https://") {
		m.add(`<img src="%s" alt="" loading="lazy" referrerpolicy="no-referrer">`, *c.ImageURL)
	} else {
		m.add(`%s`, Initials(*c))
	}
	return m.html()
}

// courses adds a customer's main course or product, and tags.
func (p *press) courses(m *markup, c *customers.Customer) {
	main := mainCourse(*c)
	more := func() {
		if main.More > 0 {
			m.add(` <span class="more">+%s more</span>`, p.number(main.More))
		}
		m.add(`</div>`)
	}
	switch course := main.Course; {
	case course != nil:
		done := ""
		if course.Done() {
			done = " done"
		}
		m.add(`<div class="prog"><progress max="100" value="%s" aria-label="Progress"></progress> `+
			`<bdi>%s</bdi> <span class="pc%s">%s</span>`,
			percent(course.Progress), course.Title, done, p.locale.Percent(course.Progress))
		more()
	case main.Product != "":
		m.add(`<div class="prog"><bdi class="product">%s</bdi>`, main.Product)
		more()
	}
	p.tags(m, c.Tags)
}

// tags adds some of a customer's tags, and how many more there are.
func (p *press) tags(m *markup, all []customers.Tag) {
	if len(all) == 0 {
		return
	}
	const shown = 3
	m.add(`<ul class="tags" aria-label="Tags">`)
	for _, t := range all[:min(shown, len(all))] {
		m.add(`<li title="%s"><bdi>%s</bdi></li>`, t.Name, t.Name)
	}
	if left := len(all) - shown; left > 0 {
		m.add(`<li class="more">+%s</li>`, p.number(left))
	}
	m.add(`</ul>`)
}

// spent adds what a customer spent.
func (p *press) spent(m *markup, w worth) {
	switch {
	case w.Returned != "":
		m.add(`<b class="none">%s</b>`, w.Returned)
	case w.Main != nil:
		m.add(`<b>%s</b>`, p.locale.Money(*w.Main))
	default:
		m.add(`<b class="none">—</b>`)
	}
	var parts []string
	if w.Other != nil {
		parts = append(parts, "+ "+p.locale.Money(*w.Other))
	}
	if w.More > 0 {
		parts = append(parts, "+"+p.number(w.More)+" more")
	}
	if w.Back != nil {
		parts = append(parts, p.locale.Money(*w.Back)+" refunded")
	}
	if w.Lost != nil {
		parts = append(parts, p.locale.Money(*w.Lost)+" disputed")
	}
	if text := strings.Join(parts, " "); text != "" {
		m.add(`<small title="%s">%s</small>`, text, text)
	}
}
