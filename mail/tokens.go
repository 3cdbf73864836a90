package mail

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
)

// Key signs the links of mails.
type Key struct {
	ID     int32
	Secret []byte
}

// Keys sign links with the last of them, and verify what any of them signed: links never expire.
type Keys []Key

// Purposes of tokens: one is not valid as another.
const (
	toLeave   = 'l' // a ticket
	toLeaveBy = 'u' // the id of a mail alone
	toClick   = 'c'
)

const (
	signature = 16   // bytes of the HMAC that are kept: too many to guess
	longest   = 1024 // bytes that a token may say
)

// Click is the token of a link in a mail; mail is 0 where clicks are counted without persons.
func (k Keys) Click(link, mail int64) string {
	said := appendID(nil, link)
	if mail != 0 {
		said = appendID(said, mail)
	}
	return k.sign(toClick, said)
}

// ReadClick returns the link and the mail of a token made by Click.
func (k Keys) ReadClick(token string) (link, mail int64, ok bool) {
	said, ok := k.verify(toClick, token)
	switch {
	case !ok || len(said) != 8 && len(said) != 16:
		return 0, 0, false
	case len(said) == 16:
		mail = readID(said[8:])
	}
	return readID(said), mail, true
}

func appendID(said []byte, id int64) []byte {
	return binary.BigEndian.AppendUint64(said, uint64(id)) //nolint:gosec // the bits alone
}

func readID(said []byte) int64 {
	return int64(binary.BigEndian.Uint64(said)) //nolint:gosec // the bits alone
}

// Lacks tells whether a token says that a key signed it which is not among k: it may be newer.
func (k Keys) Lacks(token string) bool {
	said, _ := decode(token)
	return said != nil && k.find(said) < 0
}

// decode takes a token apart: what it says, which ends with the key's id, and the signature. Nil: it is none.
func decode(token string) (said, mac []byte) {
	encoding := base64.RawURLEncoding.Strict()
	if len(token) > encoding.EncodedLen(longest+signature) {
		return nil, nil
	}
	raw, err := encoding.DecodeString(token)
	if err != nil || len(raw) < 4+signature || len(token) != encoding.EncodedLen(len(raw)) { // it skips line ends
		return nil, nil
	}
	return raw[:len(raw)-signature], raw[len(raw)-signature:]
}

// find is where in k the key is that the end of what was said names; below 0 if nowhere.
func (k Keys) find(said []byte) int {
	id := int32(binary.BigEndian.Uint32(said[len(said)-4:])) //nolint:gosec // the bits alone
	return slices.IndexFunc(k, func(key Key) bool { return key.ID == id })
}

// sign writes what is said, the key's id, and the first bytes of an HMAC of both and the purpose.
func (k Keys) sign(purpose byte, said []byte) string {
	key := k[len(k)-1]
	said = binary.BigEndian.AppendUint32(said, uint32(key.ID)) //nolint:gosec // the bits alone
	return base64.RawURLEncoding.EncodeToString(append(said, key.mac(purpose, said)...))
}

// verify returns what a token says; ok is false unless one of k signed it.
func (k Keys) verify(purpose byte, token string) (said []byte, ok bool) {
	said, mac := decode(token)
	if said == nil {
		return nil, false
	}
	i := k.find(said)
	if i < 0 || !hmac.Equal(mac, k[i].mac(purpose, said)) {
		return nil, false
	}
	return said[:len(said)-4], true
}

func (k Key) mac(purpose byte, said []byte) []byte {
	mac := hmac.New(sha256.New, k.Secret)
	mac.Write([]byte{purpose})
	mac.Write(said)
	return mac.Sum(nil)[:signature]
}

// Name is a name for a mail that no other has, here or elsewhere, and that it keeps: the key by which
// providers recognise it, and its Message-ID.
func (k Keys) Name(mail int64) string {
	mac := k[0].mac('n', appendID(nil, mail))
	return fmt.Sprintf("mail-%d-%x", mail, mac[:8])
}
