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
	toLeave = 'u'
	toClick = 'c'
)

const (
	named     = 8 + 4 // bytes of an id, and of the key's
	signature = 16    // bytes of the HMAC that are kept: too many to guess
)

// Leave is the token with which the recipient of a mail unsubscribes.
func (k Keys) Leave(mail int64) string { return k.sign(toLeave, mail) }

// ReadLeave returns the mail of a token made by Leave.
func (k Keys) ReadLeave(token string) (mail int64, ok bool) {
	ids, ok := k.verify(toLeave, token, 1)
	return ids[0], ok
}

// Click is the token of a link in a mail; mail is 0 where clicks are counted without persons.
func (k Keys) Click(link, mail int64) string {
	if mail == 0 {
		return k.sign(toClick, link)
	}
	return k.sign(toClick, link, mail)
}

// ReadClick returns the link and the mail of a token made by Click.
func (k Keys) ReadClick(token string) (link, mail int64, ok bool) {
	if ids, ok := k.verify(toClick, token, 1); ok {
		return ids[0], 0, true
	}
	ids, ok := k.verify(toClick, token, 2)
	return ids[0], ids[1], ok
}

// Lacks tells whether a token says that a key signed it which is not among k: it may be newer.
func (k Keys) Lacks(token string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) < named+signature || len(raw) > 8+named+signature {
		return false
	}
	return k.find(raw[:len(raw)-signature]) < 0
}

// find is where in k the key is that the end of what was said names; below 0 if nowhere.
func (k Keys) find(said []byte) int {
	id := int32(binary.BigEndian.Uint32(said[len(said)-4:])) //nolint:gosec // the bits alone
	return slices.IndexFunc(k, func(key Key) bool { return key.ID == id })
}

// sign writes ids, the key's id, and the first bytes of an HMAC of both and the purpose.
func (k Keys) sign(purpose byte, ids ...int64) string {
	key := k[len(k)-1]
	var said []byte
	for _, id := range ids {
		said = binary.BigEndian.AppendUint64(said, uint64(id)) //nolint:gosec // the bits alone
	}
	said = binary.BigEndian.AppendUint32(said, uint32(key.ID)) //nolint:gosec // the bits alone
	return base64.RawURLEncoding.EncodeToString(append(said, key.mac(purpose, said)...))
}

// verify returns the ids of a token; ok is false unless one of k signed it. All are 0 then.
func (k Keys) verify(purpose byte, token string, count int) (ids [2]int64, ok bool) {
	encoding, said := base64.RawURLEncoding.Strict(), 8*(count-1)+named
	raw, err := encoding.DecodeString(token)
	if err != nil || len(raw) != said+signature || len(token) != encoding.EncodedLen(len(raw)) { // it skips line ends
		return ids, false
	}
	i := k.find(raw[:said])
	if i < 0 || !hmac.Equal(raw[said:], k[i].mac(purpose, raw[:said])) {
		return ids, false
	}
	for i := range count {
		ids[i] = int64(binary.BigEndian.Uint64(raw[8*i:])) //nolint:gosec // the bits alone
	}
	return ids, true
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
	mac := k[0].mac('n', binary.BigEndian.AppendUint64(nil, uint64(mail))) //nolint:gosec // the bits alone
	return fmt.Sprintf("mail-%d-%x", mail, mac[:8])
}
