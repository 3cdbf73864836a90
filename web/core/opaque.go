package core

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strconv"
	"strings"

	"rollcall/store"
	"rollcall/store/customers"
)

// Ids as pages and the API show them. The database numbers its rows in the order
// they come, over all stores: a creator who sees a few numbers knows how many
// customers everybody else has. So a number leaves this package only enciphered,
// under a key that the database keeps, and whatever deciphers to no number is the
// id of nothing. Operators may also send the number itself, which the command
// line shows them.

// Kinds of ids. An id of one kind is none of another. At most 8 bytes each.
const (
	CustomerID = "customer"
	NoteID     = "note"
	TokenID    = "token"
	mergeID    = "merge"
)

// opaque enciphers ids and cursors.
type opaque struct {
	block cipher.Block // of ids: one block holds the kind and the number, so an id is always written the same
	aead  cipher.AEAD  // of cursors, which hold ids and whatever a list is sorted by
}

// newOpaque derives a key for each use from the database's.
func newOpaque(key []byte) (*opaque, error) {
	derived, err := hkdf.Key(sha256.New, key, nil, "rollcall ids and cursors", 64)
	if err != nil {
		return nil, err
	}
	ids, err := aes.NewCipher(derived[:32])
	if err != nil {
		return nil, err
	}
	cursors, err := aes.NewCipher(derived[32:])
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(cursors)
	return &opaque{ids, aead}, err
}

// idText writes a block as 26 lower-case letters and digits.
var idText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Id is how a number is shown.
func (o *opaque) Id(kind string, n int64) string {
	var block [aes.BlockSize]byte
	copy(block[:8], kind)
	binary.BigEndian.PutUint64(block[8:], uint64(n))
	o.block.Encrypt(block[:], block[:])
	return idText.EncodeToString(block[:])
}

// Number is what id made text of; ok is false for any other text.
func (o *opaque) Number(kind, text string) (n int64, ok bool) {
	var block [aes.BlockSize]byte
	if len(text) != idText.EncodedLen(len(block)) {
		return 0, false
	}
	if _, err := idText.Decode(block[:], []byte(text)); err != nil {
		return 0, false
	}
	o.block.Decrypt(block[:], block[:])
	n = int64(binary.BigEndian.Uint64(block[8:]))
	return n, n >= 0 && o.Id(kind, n) == text // of several texts of one block only ours counts
}

// Cursor is how a cursor of the store's is shown; the empty one stays empty.
// scope is the list that it belongs to.
func (o *opaque) Cursor(scope, plain string) string {
	if plain == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(o.aead.Seal(nil, nil, []byte(plain), []byte(scope)))
}

// plain is what cursor made text of, in the same scope.
func (o *opaque) plain(scope, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return "", ErrCursor
	}
	plain, err := o.aead.Open(nil, nil, sealed, []byte(scope))
	if err != nil {
		return "", ErrCursor
	}
	return string(plain), nil
}

// LoadIDs reads the key, once. It comes before ids.
func (s *Site) LoadIDs(ctx context.Context) error {
	if s.opaque.Load() != nil {
		return nil
	}
	key, err := s.Cfg.Store.IDKey(ctx)
	if err != nil {
		return err
	}
	o, err := newOpaque(key)
	if err == nil {
		s.opaque.Store(o)
	}
	return err
}

// Ids is what ids are enciphered with, once loadIDs has been called.
func (s *Site) Ids() *opaque { return s.opaque.Load() }

// Customer is how a customer's number, as the store writes it, is shown.
func (o *opaque) Customer(number string) string {
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		panic(err) // the store's own
	}
	return o.Id(CustomerID, n)
}

// Customers writes the ids of customers as they are shown.
func (o *opaque) Customers(all []customers.Customer) {
	for i := range all {
		all[i].ID = o.Customer(all[i].ID)
	}
}

// Entries does the same to the rows of ours that entries of a timeline refer to.
func (o *opaque) Entries(all []customers.Entry) {
	for i := range all {
		kind := map[string]string{"first_seen": CustomerID, "note": NoteID, "merged": mergeID}[all[i].Kind]
		prefix, number, _ := strings.Cut(all[i].Ref, ":")
		if n, err := strconv.ParseInt(number, 10, 64); kind != "" && err == nil {
			all[i].Ref = prefix + ":" + o.Id(kind, n)
		}
	}
}

// author is how a note's author is shown: tokens are numbered as well.
func (o *opaque) author(name string) string {
	number, is := strings.CutPrefix(name, "token:")
	n, err := strconv.ParseInt(number, 10, 64)
	if !is || err != nil {
		return name
	}
	return "token:" + o.Id(TokenID, n)
}

// HideEvents takes the inbox's numbers away from who is no operator: those of
// all stores' events count on together. The sender's own ids stay.
func HideEvents(v Visitor, all ...[]store.Origin) {
	if v.Admin {
		return
	}
	for _, origins := range all {
		for _, o := range origins {
			if o.Event != nil {
				o.Event.ID = nil
			}
		}
	}
}

// Named puts the numbers in place of the ids in the path. What is no id of ours
// is answered as the id of nothing.
func (s *Site) Named(r *http.Request, v Visitor) error {
	if err := s.LoadIDs(r.Context()); err != nil {
		return err
	}
	for name, kind := range map[string]string{"id": CustomerID, "note": NoteID} {
		text := r.PathValue(name)
		if n, ok := s.Ids().Number(kind, text); ok {
			r.SetPathValue(name, strconv.FormatInt(n, 10))
		} else if text != "" && !(v.Admin && IsNumber(text)) {
			return errNotFound
		}
	}
	return nil
}

// IsNumber tells whether text is a number as the store writes one.
func IsNumber(text string) bool {
	n, err := strconv.ParseInt(text, 10, 64)
	return err == nil && n > 0 && strconv.FormatInt(n, 10) == text
}
