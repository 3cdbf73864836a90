package value

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Expected is what is expected of a customer who bought something.
type Expected struct {
	Customer string  `json:"customer"` // id
	Name     string  `json:"name"`     // may be empty
	Email    string  `json:"email"`
	Alive    float64 `json:"alive"`    // the probability that they may buy again
	Expected int64   `json:"expected"` // what they are expected to spend in the next twelve months, in minor units
	Cursor   string  `json:"-"`        // of the page behind them
}

const expectedSQL = `
	SELECT
		c.id::text,
		coalesce(c.name, ''),
		c.email,
		p.alive,
		p.expected,
		p.expected || ' ' || p.customer_id
	FROM value_people p
	JOIN customers c ON c.id = p.customer_id AND c.store_id = p.store_id
	WHERE p.store_id = $1
	  AND p.currency = $2
	  AND ($3::bigint IS NULL OR p.expected <= $3 AND (p.expected < $3 OR p.customer_id < $4))
	ORDER BY p.expected DESC, p.customer_id DESC
	LIMIT $5`

// People returns up to limit customers of a store, those first of whom most is expected in a currency. It goes on
// behind a cursor; empty: from the first. A cursor that is none is a *pg.BadParam.
func (v *Values) People(ctx context.Context, store, currency, cursor string, limit int) (all []Expected, err error) {
	defer pg.Wrap(&err, "value.People(%q, %q)", store, currency)
	if !pg.Storable(store) || !pg.Storable(currency) {
		return []Expected{}, nil
	}
	var most, behind *int64
	if cursor != "" {
		most, behind = new(int64), new(int64)
		if _, err := fmt.Sscanf(cursor, "%d %d", most, behind); err != nil {
			return nil, pg.Refuse("cursor", "is not of this list")
		}
	}
	rows, err := v.Pool.Query(ctx, expectedSQL, store, currency, most, behind, limit)
	if err != nil {
		return nil, err
	}
	all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Expected])
	return append([]Expected{}, all...), err
}
