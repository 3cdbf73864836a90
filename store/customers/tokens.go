package customers

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

const (
	// TokenPrefix begins every store token, so that people and secret scanners recognise
	// it.
	TokenPrefix = "rc_"

	tokenBytes   = 25          // random ones: 200 bits, 40 letters and digits
	maxTokenName = 200         // characters
	usedEvery    = time.Minute // precision of the last use
)

// Token is the stored record of a store's token, without the secret.
type Token struct {
	ID         int64      `json:"id"`
	StoreID    string     `json:"store_id"`
	Name       string     `json:"name"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at"` // to the minute
	ExpiresAt  *time.Time `json:"expires_at"`   // nil: never
	RevokedAt  *time.Time `json:"revoked_at"`
}

// State is active, expired or revoked.
func (t Token) State(now time.Time) string {
	switch {
	case t.RevokedAt != nil:
		return "revoked"
	case t.ExpiresAt != nil && !now.Before(*t.ExpiresAt):
		return "expired"
	}
	return "active"
}

// tokenColumns are the columns of a Token.
const tokenColumns = `
			id,
			store_id,
			name,
			created_at,
			last_used_at,
			expires_at,
			revoked_at`

// NewToken describes a token to create.
type NewToken struct {
	Store   string
	Name    string     // its purpose, in its maker's words
	Expires *time.Time // nil: never
}

// MadeToken is a new token with its secret.
type MadeToken struct {
	Token
	Secret string `json:"token"` // sent by the program; not stored, so it cannot be shown again
	Known  bool   `json:"-"`     // whether the store is known
}

// CreateToken makes a token for a store. The error for bad input is a *pg.BadParam.
func (s *Reader) CreateToken(ctx context.Context, n NewToken) (t MadeToken, err error) {
	defer pg.Wrap(&err, "customers.CreateToken(%q)", n.Store)
	if err := n.check(); err != nil {
		return t, err
	}
	t.Secret = newSecret()
	t.Token, err = scanToken(s.Pool.QueryRow(ctx, `
		INSERT INTO store_tokens (store_id, name, hash, expires_at)
		VALUES ($1, $2, $3, $4)
		RETURNING`+tokenColumns+`,
			EXISTS (SELECT FROM stores WHERE id = $1) OR EXISTS (SELECT FROM customers WHERE store_id = $1)`,
		n.Store, n.Name, hashOf(t.Secret), n.Expires), &t.Known)
	return t, err
}

// check checks the store, name and expiry.
func (n NewToken) check() error {
	switch {
	case strings.TrimSpace(n.Store) != n.Store || n.Store == "" || len(n.Store) > pg.MaxParam || !pg.Storable(n.Store):
		return pg.Refuse("store", "must be a store's id")
	case utf8.RuneCountInString(n.Name) > maxTokenName || !pg.Storable(n.Name):
		return pg.Refuse("name", "must be at most %d characters of text", maxTokenName)
	case n.Expires != nil && !n.Expires.After(time.Now()):
		return pg.Refuse("expires", "%s is over already", n.Expires.Format(time.RFC3339))
	}
	return nil
}

// newSecret generates a token of letters and digits, which a double click selects.
func newSecret() string {
	b := make([]byte, tokenBytes)
	rand.Read(b) // never fails
	return TokenPrefix + strings.ToLower(base32.StdEncoding.EncodeToString(b))
}

// hashOf is the stored hash of a token. It is fast and unsalted: slow ones are for
// secrets that people invent.
func hashOf(secret string) []byte {
	hash := sha256.Sum256([]byte(secret))
	return hash[:]
}

// scanToken scans tokenColumns and any further columns.
func scanToken(row pgx.Row, more ...any) (t Token, err error) {
	err = row.Scan(append([]any{&t.ID, &t.StoreID, &t.Name, &t.CreatedAt, &t.LastUsedAt, &t.ExpiresAt, &t.RevokedAt},
		more...)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return t, pg.ErrNotFound
	}
	t.CreatedAt, t.LastUsedAt, t.ExpiresAt, t.RevokedAt = t.CreatedAt.UTC(), pg.UTC(t.LastUsedAt), pg.UTC(t.ExpiresAt),
		pg.UTC(t.RevokedAt)
	return t, err
}

// UseToken finds a token by its secret, and records the use. Its State says whether it
// is valid; ErrNotFound if there is none.
func (s *Reader) UseToken(ctx context.Context, secret string, now time.Time) (t Token, err error) {
	defer pg.Wrap(&err, "customers.UseToken")
	if !strings.HasPrefix(secret, TokenPrefix) {
		return t, pg.ErrNotFound
	}
	t, err = scanToken(s.Pool.QueryRow(ctx, `
		SELECT`+tokenColumns+`
		FROM store_tokens
		WHERE hash = $1`, hashOf(secret)))
	due := now.Add(-usedEvery)
	if err != nil || t.State(now) != "active" || t.LastUsedAt != nil && t.LastUsedAt.After(due) {
		return t, err
	}
	// Of concurrent requests only the first writes.
	_, err = s.Pool.Exec(ctx, `
		UPDATE store_tokens
		SET last_used_at = $2
		WHERE id = $1
		  AND (last_used_at IS NULL OR last_used_at <= $3)`, t.ID, now, due)
	return t, err
}

// Tokens lists the tokens of a store, or of all if it is empty, in order of creation.
func (s *Reader) Tokens(ctx context.Context, store string) (_ []Token, err error) {
	defer pg.Wrap(&err, "customers.Tokens(%q)", store)
	if !pg.Storable(store) {
		return nil, nil
	}
	rows := pg.Query(ctx, s.Pool, `
		SELECT`+tokenColumns+`
		FROM store_tokens
		WHERE $1 = '' OR store_id = $1
		ORDER BY id`, store)
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Token, error) { return scanToken(row) })
}

// RevokeToken revokes a token; a revoked one keeps its time. ErrNotFound if there is
// none with that id.
func (s *Reader) RevokeToken(ctx context.Context, id int64) (t Token, err error) {
	return s.RevokeTokenOf(ctx, "", id)
}

// RevokeTokenOf is RevokeToken for a token of one store; of any if it is empty.
func (s *Reader) RevokeTokenOf(ctx context.Context, store string, id int64) (t Token, err error) {
	defer pg.Wrap(&err, "customers.RevokeToken(%q, %d)", store, id)
	if !pg.Storable(store) {
		return t, pg.ErrNotFound
	}
	return scanToken(s.Pool.QueryRow(ctx, `
		UPDATE store_tokens
		SET revoked_at = COALESCE(revoked_at, now())
		WHERE id = $1
		  AND ($2 = '' OR store_id = $2)
		RETURNING`+tokenColumns, id, store))
}
