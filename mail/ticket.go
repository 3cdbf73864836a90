package mail

import "encoding/binary"

// Ticket is what the link to unsubscribe of a mail says. All but the id outlives the mail's row: with it the recipient
// leaves after an erasure too, and when the mail is no longer kept. It names no one.
type Ticket struct {
	Mail                   int64
	Store, Campaign, Class string
	Hash                   []byte // of the address, as in mail_stops; nil in links that say the id alone
}

const hashed = 32 // bytes of Hash

var classes = map[byte]string{'m': "marketing", 's': "service", 't': "test"} // by their first letters

// Leave is the token with which the recipient of a mail unsubscribes.
func (k Keys) Leave(t Ticket) string {
	said := appendID(nil, t.Mail)
	if len(t.Hash) != hashed || len(t.Store)+len(t.Campaign) > longest/2 {
		return k.sign(toLeaveBy, said)
	}
	said = append(append(said, t.Class[0]), t.Hash...)
	said = binary.BigEndian.AppendUint16(said, uint16(len(t.Store))) //nolint:gosec // short, as asked above
	return k.sign(toLeave, append(append(said, t.Store...), t.Campaign...))
}

// ReadLeave returns what a token made by Leave says.
func (k Keys) ReadLeave(token string) (t Ticket, ok bool) {
	if said, ok := k.verify(toLeaveBy, token); ok && len(said) == 8 {
		return Ticket{Mail: readID(said)}, true
	}
	said, ok := k.verify(toLeave, token)
	if !ok {
		return t, false
	}
	t.Mail, t.Class, said = readID(said), classes[said[8]], said[9:]
	t.Hash, said = said[:hashed], said[hashed:]
	end := 2 + binary.BigEndian.Uint16(said)
	t.Store, t.Campaign = string(said[2:end]), string(said[end:])
	return t, true
}
