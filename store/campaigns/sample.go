package campaigns

import (
	"context"
	"math"

	"github.com/jackc/pgx/v5"

	"rollcall/store/customers"
	"rollcall/store/pg"
)

// mostDecided is how many mails a preview decides about: more would take too long to wait for. Of more it decides about
// those to some customers, who stand for all.
const mostDecided = 20_000

// sampler chooses some customers of a store, the same ones for as long as they are there.
type sampler struct {
	tx        pgx.Tx
	store     string
	customers int64 // it has about so many
	most      int64 // see mostDecided
	chosen    map[int]sample
}

func (s *Campaigns) sampler(ctx context.Context, tx pgx.Tx, storeID string) (*sampler, error) {
	many, err := s.readers.Count(ctx, customers.Filter{Store: storeID})
	return &sampler{tx, storeID, many, s.mostDecided, map[int]sample{}}, err
}

// sample is some customers.
type sample struct {
	emails []string
	each   float64 // one stands for so many; 1: they are all, and emails is empty
}

// condition is SQL, a further condition on customers by their address.
type condition func(email string) string

// among limits SQL to the customers of a sample.
func (of sample) among(args *pg.Arguments) condition {
	if of.each == 1 {
		return func(string) string { return "" }
	}
	emails := args.Add(of.emails) + "::text[]"
	return func(email string) string { return ` AND ` + email + ` = ANY (` + emails + `)` }
}

// every is each, rounded.
func (of sample) every() int { return int(math.Round(of.each)) }

// ofAll is about how many of all customers there are if so many are of a sample.
func (of sample) ofAll(n int64) int64 {
	if of.each == 1 || n == 0 {
		return n
	}
	about := float64(n) * of.each
	digits := math.Pow(10, max(0, math.Floor(math.Log10(about))-2)) // three of them: a sample knows no more
	return int64(math.Round(about/digits) * digits)
}

// try looks at all customers, or at some if that would be too many mails. look returns how many mails it saw; if they
// turn out to be few, it looks again at more customers.
func (s *sampler) try(ctx context.Context, look func(sample) (mails int64, err error)) error {
	every := s.every(s.customers)
	for {
		of, err := s.choose(ctx, every)
		if err != nil {
			return err
		}
		mails, err := look(of)
		if err != nil || every == 1 || mails > s.most/16 {
			return err
		}
		every = min(every/2, s.every(mails*int64(every)))
	}
}

// every is how many customers one must stand for, a power of two, so that few enough are left.
func (s *sampler) every(customers int64) int {
	every := 1
	for customers > s.most && customers/int64(every) > s.most/4 {
		every *= 2
	}
	return every
}

// choose chooses one customer in about every. It reads only the index of addresses.
func (s *sampler) choose(ctx context.Context, every int) (sample, error) {
	if every == 1 {
		return sample{each: 1}, nil
	}
	if of, ok := s.chosen[every]; ok {
		return of, nil
	}
	emails, err := pg.Column[string](ctx, s.tx, `
		SELECT email
		FROM customers
		WHERE store_id = $1
		  AND hashtextextended(email, 1) & $2 = 0`, s.store, every-1)
	of := sample{emails, float64(max(s.customers, 1)) / float64(max(len(emails), 1))}
	s.chosen[every] = of
	return of, err
}
