// Package store is the write side: it keeps the inbox and the facts, derives the
// customers from them, and is the only package that writes either. Its folders
// read. See docs/architecture.md.
package store

import (
	"context"
	"fmt"
	"time"

	"rollcall/store/pg"
)

// Store writes. Safe for concurrent use.
type Store struct {
	*pg.DB
	PlatformTypes []string
	MailCap       int // see Options
}

// Options of Open. The first three are those of a Connection.
type Options struct {
	Conns  int32
	Schema int64
	Idle   time.Duration
	// PlatformTypes are the product types (metadata productType or plan, or
	// Stripe price and product ids) whose sales are the platform's own and make
	// nobody a store's customer.
	PlatformTypes []string
	// MailCap is the most marketing mails to an address in 7 days, of all stores; 0: any number.
	MailCap int
}

// Open is a Store in the database at url; see Connect.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	db, err := pg.Connect(ctx, url, pg.Connection{Conns: o.Conns, Schema: o.Schema, Idle: o.Idle})
	if err != nil {
		return nil, fmt.Errorf("store.Open: %w", err)
	}
	return &Store{DB: db, PlatformTypes: append([]string{}, o.PlatformTypes...), MailCap: o.MailCap}, nil
}

// Apart returns a Store of the same database with so many connections of its own:
// those who use up the connections of s do not keep it waiting. Close both.
func (s *Store) Apart(ctx context.Context, conns int32) (*Store, error) {
	db, err := s.DB.Apart(ctx, conns)
	if err != nil {
		return nil, fmt.Errorf("store.Apart: %w", err)
	}
	return &Store{DB: db, PlatformTypes: s.PlatformTypes, MailCap: s.MailCap}, nil
}
