package creators

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"io"
	"math"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"rollcall/internal/show"
	"rollcall/store"
	"rollcall/store/customers"
)

// Columns are the header of the CSV, in the order of customer's cells.
var Columns = []string{
	"id", "email", "name", "type", "status", "source", "source_title", "first_seen_utc", "last_activity_utc",
	"course_count", "courses", "completed_count", "purchases", "subscriptions", "total_spent", "refunded",
	"tags", "expected", "may_buy_again", "engagement", "country",
}

// sheet writes customers as CSV. Semicolons separate the entries of a cell.
type sheet struct {
	out  bytes.Buffer
	csv  *csv.Writer // into out
	row  []string
	cell []byte // a cell in the making
}

func NewSheet() *sheet {
	s := &sheet{}
	s.csv = csv.NewWriter(&s.out)
	s.csv.UseCRLF = true
	return s
}

// CSV returns what writes customers to w, as a download has them, but without the byte
// order mark, which programs read as part of the first name.
func CSV(w io.Writer) func([]customers.Customer) error {
	s := NewSheet()
	s.csv.Write(Columns)
	return func(all []customers.Customer) error {
		for i := range all {
			s.Customer(&all[i])
		}
		_, err := s.WriteTo(w)
		return err
	}
}

// head writes the byte order mark and the header. Without the mark Excel reads an
// old Windows character set.
func (s *sheet) head() {
	s.out.WriteString("\ufeff")
	s.csv.Write(Columns) // a buffer never fails
}

// WriteTo writes the rows so far and clears them.
func (s *sheet) WriteTo(w io.Writer) (int64, error) {
	s.csv.Flush()
	return s.out.WriteTo(w)
}

func (s *sheet) Customer(c *customers.Customer) {
	s.row = s.row[:0]
	s.own(c.ID)
	s.foreign(c.Email)
	s.foreign(text(c.Name))
	s.own(c.Type)
	s.own(c.Status)
	s.own(text(c.Source.Kind))
	s.foreign(text(c.Source.Title))
	s.time(c.FirstSeenAt)
	s.time(c.LastActivityAt)
	s.courses(c.Courses)
	s.purchases(c.Purchases)
	s.subscriptions(c.Subscriptions)
	s.monies(c.TotalSpent)
	s.monies(c.Refunded)
	s.tags(c.Tags)
	s.forecast(c.Forecast)
	s.engagement(c.Engagement)
	s.own(text(c.Country))
	s.csv.Write(s.row)
}

// forecast adds two cells: what they are expected to spend in the next twelve months, and the percent by which they may
// buy again.
func (s *sheet) forecast(f *customers.Forecast) {
	if f == nil {
		s.row = append(s.row, "", "")
		return
	}
	s.monies([]store.Money{{Amount: f.Expected, Currency: f.Currency}})
	s.own(strconv.FormatFloat(math.Round(1000*f.Alive)/10, 'f', -1, 64) + "%")
}

// engagement adds the state that they are in.
func (s *sheet) engagement(e *customers.Engagement) {
	if e == nil {
		s.own("")
		return
	}
	s.own(e.State)
}

// own adds a cell that Rollcall made: a number, a time, a word.
func (s *sheet) own(cell string) { s.row = append(s.row, cell) }

// foreign adds a cell with text from outside.
func (s *sheet) foreign(cell string) { s.own(Defused(cell)) }

// time adds a time in a form that spreadsheets recognise.
func (s *sheet) time(at *time.Time) {
	cell := ""
	if at != nil {
		cell = at.UTC().Format(time.DateTime)
	}
	s.own(cell)
}

// courses adds three cells: the number of courses, their titles, how many are completed.
func (s *sheet) courses(all []customers.Course) {
	s.cell = s.cell[:0]
	completed := 0
	for i, c := range all {
		s.part(i, c.Title, " (")
		s.cell = strconv.AppendFloat(s.cell, c.Progress, 'f', -1, 64)
		s.cell = append(s.cell, "%)"...)
		if c.Done() {
			completed++
		}
	}
	s.own(strconv.Itoa(len(all)))
	s.foreign(string(s.cell))
	s.own(strconv.Itoa(completed))
}

func (s *sheet) purchases(all []customers.Purchase) {
	s.cell = s.cell[:0]
	for i, p := range all {
		s.part(i, cmp.Or(text(p.Title), p.Kind), " (")
		s.cell = show.AppendMoney(s.cell, store.Money{Amount: p.Amount, Currency: p.Currency})
		if p.Refunded > 0 {
			s.cell = append(s.cell, ", refunded "...)
			s.cell = show.AppendMoney(s.cell, store.Money{Amount: p.Refunded, Currency: p.Currency})
		}
		s.cell = append(s.cell, ')')
	}
	s.foreign(string(s.cell))
}

func (s *sheet) subscriptions(all []customers.Subscription) {
	s.cell = s.cell[:0]
	for i, v := range all {
		s.part(i, cmp.Or(text(v.Plan), v.ID), " (", v.Status)
		if v.CurrentPeriodEnd != nil {
			s.cell = v.CurrentPeriodEnd.UTC().AppendFormat(append(s.cell, ", period ends "...), time.DateOnly)
		}
		s.cell = append(s.cell, ')')
	}
	s.foreign(string(s.cell))
}

func (s *sheet) tags(all []customers.Tag) {
	s.cell = s.cell[:0]
	for i, t := range all {
		s.part(i, t.Name)
	}
	s.foreign(string(s.cell))
}

func (s *sheet) monies(all []store.Money) {
	s.cell = s.cell[:0]
	for i, m := range all {
		s.part(i)
		s.cell = show.AppendMoney(s.cell, m)
	}
	s.own(string(s.cell))
}

// part appends part i of a cell.
func (s *sheet) part(i int, texts ...string) {
	if i > 0 {
		s.cell = append(s.cell, "; "...)
	}
	for _, text := range texts {
		s.cell = append(s.cell, text...)
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// Defused returns text that spreadsheets do not run as a formula: an apostrophe
// goes before the beginning of one. Text behind a separator counts as a beginning,
// as a spreadsheet may split there. Spaces and quotes before it do not count.
// See https://owasp.org/www-community/attacks/CSV_Injection.
func Defused(text string) string {
	var out []byte
	copied, begin, open := 0, 0, true // open: nothing visible since begin
	for i, size := 0, 1; i < len(text); i, size = i+size, 1 {
		is := runes[text[i]]
		if text[i] >= utf8.RuneSelf {
			var r rune
			r, size = utf8.DecodeRuneInString(text[i:])
			is = kindOf(r)
		}
		if open && (is == starts || is == splits && begin == 0 && text[i] < ' ') {
			out = append(append(out, text[copied:begin]...), '\'')
			copied, open = begin, false
		}
		switch {
		case is == splits:
			begin, open = i+size, true
		case is != unseen:
			open = false
		}
	}
	if out == nil {
		return text
	}
	return string(append(out, text[copied:]...))
}

// Kinds of characters, for a spreadsheet that looks for formulas.
const (
	seen   = iota
	unseen // skipped before a formula
	splits // may end a cell
	starts // begins a formula
)

// runes are the kinds of the one-byte characters.
var runes = func() (all [256]byte) {
	for r := range rune(utf8.RuneSelf) {
		all[r] = kindOf(r)
	}
	return all
}()

// kindOf is the kind of r, wide forms of East Asian keyboards included.
func kindOf(r rune) byte {
	switch r {
	case '=', '+', '-', '@', '＝', '＋', '－', '＠':
		return starts
	case ',', ';', '\t', '\r', '\n':
		return splits
	}
	if r <= ' ' || r == '"' || r > unicode.MaxASCII && unicode.In(r, unicode.Z, unicode.Cc, unicode.Cf) {
		return unseen
	}
	return seen
}
