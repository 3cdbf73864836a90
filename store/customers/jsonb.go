package customers

import "github.com/go-json-experiment/json"

// listOf scans a list inside a customer's row, which is jsonb, by what is to be
// encoding/json/v2. An export reads five for each customer: in 3.3 µs so, in 6.9 µs
// by encoding/json, while all else of a customer takes it some 30 µs.
type listOf[T any] struct{ into *[]T }

// ScanBytes is called by pgx.
func (l listOf[T]) ScanBytes(text []byte) error { return json.Unmarshal(text, l.into) }

// listedSubscription is a Subscription as it is kept.
type listedSubscription struct {
	Subscription
	ProductID *string  `json:"product_id"`
	Products  []string `json:"products"` // if there are several
}
