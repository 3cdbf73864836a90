package customers

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"rollcall/store"
)

// listOf scans a jsonb list of objects in a customer's row. A row has five, and an
// export spends most of its time on them: read token by token they take a quarter of
// what they take by reflection.
type listOf[T any] struct {
	into   *[]T
	member func(of *T, name []byte) any // where a member goes; nil: nowhere
}

// ScanBytes is called by pgx.
func (l listOf[T]) ScanBytes(text []byte) error {
	*l.into = []T{}
	if len(text) == len("[]") {
		return nil
	}
	return json.Unmarshal(text, &l, jsontext.AllowDuplicateNames(true)) // jsonb has none: not looked for
}

// UnmarshalJSONFrom reads the list.
func (l *listOf[T]) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if _, err := d.ReadToken(); err != nil { // [
		return err
	}
	for d.PeekKind() == '{' {
		*l.into = append(*l.into, *new(T))
		if err := l.object(d, &(*l.into)[len(*l.into)-1]); err != nil {
			return err
		}
	}
	_, err := d.ReadToken() // ]
	return err
}

func (l *listOf[T]) object(d *jsontext.Decoder, of *T) error {
	if _, err := d.ReadToken(); err != nil { // {
		return err
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadValue()
		if err != nil {
			return err
		}
		into := l.member(of, name[1:len(name)-1])
		is, err := d.ReadValue()
		if err == nil && into != nil {
			err = readMember(is, into)
		}
		if err != nil {
			return err
		}
	}
	_, err := d.ReadToken() // }
	return err
}

// readMember reads a value as json.Unmarshal does.
func readMember(is jsontext.Value, into any) (err error) {
	if is.Kind() == 'n' {
		return nil // as everything is before it is read
	}
	switch into := into.(type) {
	case *string:
		*into, err = readText(is)
	case **string:
		*into = new(string)
		**into, err = readText(is)
	case *int64:
		*into, err = strconv.ParseInt(string(is), 10, 64)
	case **int64:
		*into = new(int64)
		**into, err = strconv.ParseInt(string(is), 10, 64)
	case *float64:
		*into, err = strconv.ParseFloat(string(is), 64)
	case **time.Time:
		*into = new(time.Time)
		err = (*into).UnmarshalJSON(is)
	default:
		err = json.Unmarshal(is, into)
	}
	return err
}

func readText(is jsontext.Value) (string, error) {
	text, err := jsontext.AppendUnquote(nil, is)
	return string(text), err
}

func memberOfMoney(m *store.Money, name []byte) any {
	switch string(name) {
	case "amount":
		return &m.Amount
	case "currency":
		return &m.Currency
	}
	return nil
}

func memberOfCourse(c *Course, name []byte) any {
	switch string(name) {
	case "id":
		return &c.ID
	case "progress":
		return &c.Progress
	case "enrolled_at":
		return &c.EnrolledAt
	case "progressed_at":
		return &c.Progressed
	case "completed_at":
		return &c.CompletedAt
	}
	return nil
}

func memberOfPurchase(p *Purchase, name []byte) any {
	switch string(name) {
	case "product_id":
		return &p.ProductID
	case "kind":
		return &p.Kind
	case "amount":
		return &p.Amount
	case "currency":
		return &p.Currency
	case "refunded":
		return &p.Refunded
	case "purchased_at":
		return &p.PurchasedAt
	case "lines":
		return &p.Lines
	}
	return nil
}

func memberOfSubscription(s *listedSubscription, name []byte) any {
	switch string(name) {
	case "id":
		return &s.ID
	case "status":
		return &s.Status
	case "plan":
		return &s.Plan
	case "amount":
		return &s.Amount
	case "currency":
		return &s.Currency
	case "current_period_end":
		return &s.CurrentPeriodEnd
	case "cancel_at_period_end":
		return &s.CancelAtPeriodEnd
	case "product_id":
		return &s.ProductID
	case "products":
		return &s.Products
	}
	return nil
}

// listedSubscription is a Subscription as stored.
type listedSubscription struct {
	Subscription
	ProductID *string  `json:"product_id"`
	Products  []string `json:"products"` // if there are several
}
