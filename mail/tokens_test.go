package mail

import (
	"bytes"
	"encoding/base64"
	"math"
	"strings"
	"testing"
)

var (
	oldKey = Key{ID: 1, Secret: bytes.Repeat([]byte{1}, 32)}
	newKey = Key{ID: 2, Secret: bytes.Repeat([]byte{2}, 32)}
)

func TestTokens(t *testing.T) {
	before, after, others := Keys{oldKey}, Keys{oldKey, newKey}, Keys{{ID: 1, Secret: newKey.Secret}}
	for _, mail := range []int64{1, 300, math.MaxInt64} {
		for _, signer := range []Keys{before, after} {
			if got, ok := after.ReadLeave(signer.Leave(mail)); !ok || got != mail {
				t.Errorf("mail %d: %d %v", mail, got, ok)
			}
			if link, got, ok := after.ReadClick(signer.Click(7, mail)); !ok || link != 7 || got != mail {
				t.Errorf("link 7 of mail %d: %d %d %v", mail, link, got, ok)
			}
		}
	}
	if link, got, ok := after.ReadClick(after.Click(7, 0)); !ok || link != 7 || got != 0 {
		t.Errorf("link 7 of no mail: %d %d %v", link, got, ok)
	}
	if before.Leave(3) == after.Leave(3) {
		t.Error("the last key does not sign")
	}
	if after.Lacks(before.Leave(3)) || !before.Lacks(after.Leave(3)) || after.Lacks("") || after.Lacks("x") {
		t.Error("a key that is there is missing, or one is not")
	}
	for name, keys := range map[string]Keys{"another secret": others, "no key": nil, "not yet": {newKey}} {
		if got, ok := keys.ReadLeave(before.Leave(3)); ok || got != 0 {
			t.Errorf("%s: %d %v", name, got, ok)
		}
	}
}

// Of a token no bit may change, and it is good for one purpose alone.
func TestForgedTokens(t *testing.T) {
	keys := Keys{oldKey, newKey}
	token := keys.Leave(300)
	raw, _ := base64.RawURLEncoding.DecodeString(token)
	forged := []string{"", "x", "%", token + "A", token[1:], strings.ToUpper(token), token + "=", token + "\n",
		keys.Click(300, 0), keys.Click(300, 300), strings.Repeat("A", 10_000)}
	for bit := range len(raw) * 8 {
		changed := bytes.Clone(raw)
		changed[bit/8] ^= 1 << (bit % 8)
		forged = append(forged, base64.RawURLEncoding.EncodeToString(changed))
	}
	for _, f := range forged {
		if mail, ok := keys.ReadLeave(f); ok || mail != 0 {
			t.Errorf("%q: mail %d", f, mail)
		}
	}
	if link, mail, ok := keys.ReadClick(token); ok || link+mail != 0 {
		t.Errorf("unsubscribing as a click: %d %d", link, mail)
	}
}

func FuzzTokens(f *testing.F) {
	keys := Keys{oldKey, newKey}
	f.Add(keys.Leave(1))
	f.Add(keys.Click(1, 0))
	f.Add(keys.Click(1, 2))
	f.Fuzz(func(t *testing.T, token string) {
		if mail, ok := keys.ReadLeave(token); ok && keys.Leave(mail) != token && (Keys{oldKey}).Leave(mail) != token {
			t.Errorf("%q is taken for mail %d", token, mail)
		}
		if link, mail, ok := keys.ReadClick(token); ok && keys.Click(link, mail) != token &&
			(Keys{oldKey}).Click(link, mail) != token {
			t.Errorf("%q is taken for link %d of mail %d", token, link, mail)
		}
	})
}
