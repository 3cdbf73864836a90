package core

import (
	"cmp"
	"context"
	"slices"

	"rollcall/store/customers"
)

// TokenList is the part of a page that lists a store's tokens, and makes and revokes them.
type TokenList struct {
	URL       string // of the store's settings, which the forms are sent to
	May       bool   // whether the visitor may change anything
	Tokens    []token
	Lives     []Option
	TokenName string            // as typed
	Wrong     map[string]string // why a field was refused
}

// token is a token as pages show it.
type token struct {
	customers.Token
	ID    string // enciphered
	State string
}

// TokenLives are how long a token may be valid, in days.
var TokenLives = []Option{{Value: "30", Label: "30 days"}, {Value: "90", Label: "90 days", On: true},
	{Value: "365", Label: "1 year"}, {Value: "", Label: "never expires"}}

// AddTokens fills in the tokens of a store: those that are valid first, then the newest.
func (s *Site) AddTokens(ctx context.Context, of string, list *TokenList) error {
	if err := s.LoadIDs(ctx); err != nil {
		return err
	}
	all, err := customers.New(s.Cfg.Store).Tokens(ctx, of)
	for _, t := range slices.Backward(all) {
		list.Tokens = append(list.Tokens, token{t, s.IDs().ID(TokenID, t.ID), t.State(s.Cfg.Now())})
	}
	slices.SortStableFunc(list.Tokens, func(a, b token) int {
		return cmp.Compare(cmp.Compare(a.State, "active"), cmp.Compare(b.State, "active"))
	})
	list.Lives = TokenLives
	return err
}
