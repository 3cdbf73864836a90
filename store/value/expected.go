package value

import (
	"context"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/store/customers"
	"rollcall/store/pg"
)

// Expected is what is expected of a customer who bought something.
type Expected struct {
	Customer string  `json:"customer"` // id
	Name     string  `json:"name"`     // may be empty
	Email    string  `json:"email"`
	Alive    float64 `json:"alive"`    // the probability that they may buy again
	Expected int64   `json:"expected"` // what they are expected to spend in the next twelve months, in minor units
}

// PeopleFilter says of whom something is expected, and in which order. Its fields are as in a query.
type PeopleFilter struct {
	Store    string
	Currency string // empty: that of most buyers
	Sort     string
	Cursor   string // end of the page before
	Limit    int    // most customers of a page
}

// Params are the parameters of the filter.
func (f *PeopleFilter) Params() []pg.Param {
	return []pg.Param{
		{Name: "currency", Value: &f.Currency, Kind: customers.Currency},
		{Name: "sort", Value: &f.Sort, Default: "-expected",
			Choices: pg.Choices("-expected", "", "expected", "", "-alive", "", "alive", "")},
		pg.CursorParam(&f.Cursor),
	}
}

// sql reads a page of people, with the key of each. The chance of those who bought once is 1, as the model has it: an
// order by chance leaves them out. Each order is that of an index.
func (f *PeopleFilter) sql(behind bool) string {
	by, descending := strings.CutPrefix(f.Sort, "-")
	than, direction, only := ">", "", ""
	if descending {
		than, direction = "<", "DESC"
	}
	if by == "alive" {
		only += "AND p.alive < 1\n"
	}
	if behind {
		only += "AND (@by, p.customer_id) @than ($4, $5)"
	}
	return strings.NewReplacer("@by", "p."+by, "@than", than, "@direction", direction).Replace(`
	SELECT c.id::text, coalesce(c.name, ''), c.email, p.alive, p.expected, @by::text, p.customer_id
	FROM value_people p
	JOIN customers c ON c.id = p.customer_id AND c.store_id = p.store_id
	WHERE p.store_id = $1
	  AND p.currency = coalesce(nullif($2, ''), (
		SELECT currency FROM value_reports WHERE store_id = $1 ORDER BY buyers DESC, currency LIMIT 1
	  ))
	  ` + only + `
	ORDER BY @by @direction, p.customer_id @direction
	LIMIT $3`)
}

// People returns a page of customers of whom something is expected, and the cursor of the next one; empty: there is
// none. What is not valid is a *pg.BadParam.
func (v *Values) People(ctx context.Context, f PeopleFilter) (all []Expected, next string, err error) {
	defer pg.Wrap(&err, "value.People(%q)", f.Store)
	if err := pg.CheckParams(f.Params()); err != nil {
		return nil, "", err
	}
	behind, err := pg.DecodeCursor(f.Cursor, f.Sort)
	if err != nil || !pg.Storable(f.Store) {
		return []Expected{}, "", err
	}
	args := f.args()
	if behind != nil {
		key, err := f.key(behind.Key)
		if err != nil {
			return nil, "", err
		}
		args = append(args, key, behind.ID)
	}
	return f.scan(pg.Query(ctx, v.Pool, f.sql(behind != nil), args...))
}

// EachPage calls do with all customers of a filter, a page after the other.
func (v *Values) EachPage(ctx context.Context, f PeopleFilter, do func([]Expected) error) error {
	for {
		people, next, err := v.People(ctx, f)
		if err == nil {
			err = do(people)
		}
		if err != nil || next == "" {
			return err
		}
		f.Cursor = next
	}
}

// args are those of the first page; one row more says whether there is another page.
func (f *PeopleFilter) args() []any { return []any{f.Store, f.Currency, f.Limit + 1} }

func (f *PeopleFilter) scan(rows pgx.Rows) (all []Expected, next string, err error) {
	all = []Expected{}
	var one Expected
	at, last := pg.Position{Sort: f.Sort, Key: new(string)}, ""
	err = pg.Each(rows, []any{&one.Customer, &one.Name, &one.Email, &one.Alive, &one.Expected, at.Key, &at.ID},
		func() {
			if len(all) == f.Limit {
				next = last
				return
			}
			all, last = append(all, one), at.Encode()
		})
	return all, next, err
}

// key reads the key of a cursor.
func (f *PeopleFilter) key(text *string) (key any, err error) {
	switch {
	case text == nil:
		return nil, pg.ErrCursor
	case strings.HasSuffix(f.Sort, "alive"):
		key, err = strconv.ParseFloat(*text, 64)
	default:
		key, err = strconv.ParseInt(*text, 10, 64)
	}
	if err != nil {
		return nil, pg.ErrCursor
	}
	return key, nil
}
