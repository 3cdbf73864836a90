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

// Pages and the API show enciphered ids. The database numbers rows over all stores:
// plain numbers would tell a creator how many customers the others have. The key
// is in the database. Operators may also send plain numbers, as the CLI prints them.

// Kinds of ids; an id of one kind is not valid as another. At most 8 bytes each.
const (
	CustomerID = "customer"
	NoteID     = "note"
	TokenID    = "token"
	MoveID     = "move"
	MailID     = "mail"
	mergeID    = "merge"
)

// opaque enciphers ids and cursors.
type opaque struct {
	block cipher.Block // of ids: one block for kind and number, so that an id has one form
	aead  cipher.AEAD  // of cursors, which hold ids and sort keys
}

// newOpaque derives the two keys from the database's.
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

// idText encodes a block as 26 lower-case letters and digits.
var idText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ID enciphers a number.
func (o *opaque) ID(kind string, n int64) string {
	var block [aes.BlockSize]byte
	copy(block[:8], kind)
	binary.BigEndian.PutUint64(block[8:], uint64(n))
	o.block.Encrypt(block[:], block[:])
	return idText.EncodeToString(block[:])
}

// Number deciphers what ID returned; ok is false for any other text.
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
	return n, n >= 0 && o.ID(kind, n) == text // other encodings of the same block are refused
}

// Cursor enciphers a cursor of the store, for use in scope only; empty stays empty.
func (o *opaque) Cursor(scope, plain string) string {
	if plain == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(o.aead.Seal(nil, nil, []byte(plain), []byte(scope)))
}

// plain deciphers what Cursor returned for the same scope.
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

// LoadIDs reads the key once. It must be called before IDs.
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

// IDs enciphers ids. LoadIDs must have been called.
func (s *Site) IDs() *opaque { return s.opaque.Load() }

// Customer enciphers a customer's number, as the store writes it.
func (o *opaque) Customer(number string) string {
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		panic(err) // the store writes numbers only
	}
	return o.ID(CustomerID, n)
}

// Customers enciphers the ids of all.
func (o *opaque) Customers(all []customers.Customer) {
	for i := range all {
		all[i].ID = o.Customer(all[i].ID)
	}
}

// entryIDs are the kinds of ids in the refs of timeline entries.
var entryIDs = map[string]string{"first_seen": CustomerID, "note": NoteID, "merged": mergeID, "mail_sent": MailID,
	"mail_clicked": MailID, "mail_came_back": MailID, "mail_bounced": MailID, "mail_complained": MailID,
	"mail_left": CustomerID}

// Entries enciphers the rows' numbers in the refs of timeline entries.
func (o *opaque) Entries(all []customers.Entry) {
	for i := range all {
		kind := entryIDs[all[i].Kind]
		prefix, number, _ := strings.Cut(all[i].Ref, ":")
		if n, err := strconv.ParseInt(number, 10, 64); kind != "" && err == nil {
			all[i].Ref = prefix + ":" + o.ID(kind, n)
		}
	}
}

// author is a note's author; the numbers of tokens are enciphered.
func (o *opaque) author(name string) string {
	number, is := strings.CutPrefix(name, "token:")
	n, err := strconv.ParseInt(number, 10, 64)
	if !is || err != nil {
		return name
	}
	return "token:" + o.ID(TokenID, n)
}

// HideEvents removes the inbox's event numbers, which count over all stores, unless
// v is an operator. The senders' own ids stay.
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

// Named replaces the ids in the path by numbers. The error of an unknown id is
// errNotFound.
func (s *Site) Named(r *http.Request, v Visitor) error {
	if err := s.LoadIDs(r.Context()); err != nil {
		return err
	}
	for name, kind := range map[string]string{"id": CustomerID, "note": NoteID, "token": TokenID, "mail": MailID} {
		text := r.PathValue(name)
		if n, ok := s.IDs().Number(kind, text); ok {
			r.SetPathValue(name, strconv.FormatInt(n, 10))
		} else if text != "" && !(v.Admin && IsNumber(text)) {
			return errNotFound
		}
	}
	return nil
}

// CustomerNumbers are the numbers of customers whose ids v sent. Unknown ids are those of
// no customer.
func (s *Site) CustomerNumbers(v Visitor, ids []string) (numbers []int64) {
	for _, text := range ids {
		n, ok := s.IDs().Number(CustomerID, text)
		if !ok && v.Admin && IsNumber(text) {
			n, _ = strconv.ParseInt(text, 10, 64)
		}
		numbers = append(numbers, n)
	}
	return numbers
}

// IsNumber tells whether text is a number as the store writes one.
func IsNumber(text string) bool {
	n, err := strconv.ParseInt(text, 10, 64)
	return err == nil && n > 0 && strconv.FormatInt(n, 10) == text
}
