package mail

import (
	"bytes"
	"encoding/base64"
	"math"
	"reflect"
	"strings"
	"testing"
)

var (
	oldKey = Key{ID: 1, Secret: bytes.Repeat([]byte{1}, 32)}
	newKey = Key{ID: 2, Secret: bytes.Repeat([]byte{2}, 32)}
)

// ticketOf is the ticket of a mail of a store whose id is as long as the platform's.
func ticketOf(mail int64) Ticket {
	return Ticket{Mail: mail, Store: "k57d0w2m3q8n5r7t9v1x4z6b8c0e2f4h", Campaign: "cmp_ünï", Class: "marketing",
		Hash: bytes.Repeat([]byte{7}, 32)}
}

func TestTokens(t *testing.T) {
	before, after, others := Keys{oldKey}, Keys{oldKey, newKey}, Keys{{ID: 1, Secret: newKey.Secret}}
	for _, mail := range []int64{1, 300, math.MaxInt64} {
		for _, signer := range []Keys{before, after} {
			for _, ticket := range []Ticket{{Mail: mail}, ticketOf(mail), {Mail: mail, Class: "test", Hash: ticketOf(1).Hash}} {
				if got, ok := after.ReadLeave(signer.Leave(ticket)); !ok || !reflect.DeepEqual(got, ticket) {
					t.Errorf("%+v: %+v %v", ticket, got, ok)
				}
			}
			if link, got, ok := after.ReadClick(signer.Click(7, mail)); !ok || link != 7 || got != mail {
				t.Errorf("link 7 of mail %d: %d %d %v", mail, link, got, ok)
			}
		}
	}
	if link, got, ok := after.ReadClick(after.Click(7, 0)); !ok || link != 7 || got != 0 {
		t.Errorf("link 7 of no mail: %d %d %v", link, got, ok)
	}
	three := ticketOf(3)
	if before.Leave(three) == after.Leave(three) {
		t.Error("the last key does not sign")
	}
	if after.Lacks(before.Leave(three)) || !before.Lacks(after.Leave(three)) || after.Lacks("") || after.Lacks("x") {
		t.Error("a key that is there is missing, or one is not")
	}
	for name, keys := range map[string]Keys{"another secret": others, "no key": nil, "not yet": {newKey}} {
		if got, ok := keys.ReadLeave(before.Leave(three)); ok || got.Mail != 0 {
			t.Errorf("%s: %v %v", name, got, ok)
		}
	}
}

// Of a token no bit may change, and it is good for one purpose alone.
func TestForgedTokens(t *testing.T) {
	forge(t, Ticket{Mail: 300})
	forge(t, ticketOf(300))
}

func forge(t *testing.T, ticket Ticket) {
	t.Helper()
	keys := Keys{oldKey, newKey}
	token := keys.Leave(ticket)
	raw, _ := base64.RawURLEncoding.DecodeString(token)
	forged := []string{"", "x", "%", token + "A", token[1:], strings.ToUpper(token), token + "=", token + "\n",
		keys.Click(300, 0), keys.Click(300, 300), strings.Repeat("A", 10_000)}
	for bit := range len(raw) * 8 {
		changed := bytes.Clone(raw)
		changed[bit/8] ^= 1 << (bit % 8)
		forged = append(forged, base64.RawURLEncoding.EncodeToString(changed))
	}
	for _, f := range forged {
		if got, ok := keys.ReadLeave(f); ok || got.Mail != 0 {
			t.Errorf("%q: %+v", f, got)
		}
	}
	if link, mail, ok := keys.ReadClick(token); ok || link+mail != 0 {
		t.Errorf("unsubscribing as a click: %d %d", link, mail)
	}
}

func FuzzTokens(f *testing.F) {
	keys := Keys{oldKey, newKey}
	f.Add(keys.Leave(Ticket{Mail: 1}))
	f.Add(keys.Leave(ticketOf(1)))
	f.Add(keys.Click(1, 0))
	f.Add(keys.Click(1, 2))
	f.Fuzz(func(t *testing.T, token string) {
		if got, ok := keys.ReadLeave(token); ok && keys.Leave(got) != token && (Keys{oldKey}).Leave(got) != token {
			t.Errorf("%q is taken for %+v", token, got)
		}
		if link, mail, ok := keys.ReadClick(token); ok && keys.Click(link, mail) != token &&
			(Keys{oldKey}).Click(link, mail) != token {
			t.Errorf("%q is taken for link %d of mail %d", token, link, mail)
		}
	})
}
