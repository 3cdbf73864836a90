package mail_test

import (
	"errors"
	"testing"

	"rollcall/store/mail"
	"rollcall/store/pg"
)

// What a store is called in its mails is one line, and so is where replies go: no header hides in them.
func TestNamesAreOneLine(t *testing.T) {
	t.Parallel()
	m := shop(t)
	s := mail.Settings{PostalAddress: "1 High Street\nTown", Tracking: "off"}
	for name, change := range map[string]func(*mail.Settings){
		"from_name":  func(s *mail.Settings) { s.FromName = "Ava\nBcc: b@x.example" },
		"from_name,": func(s *mail.Settings) { s.FromName = "Ava\r\n" },
		"from_name.": func(s *mail.Settings) { s.FromName = "Ava\u2028B" },
		"from_name;": func(s *mail.Settings) { s.FromName = "Ava\x1b[2J" },
		"reply_to":   func(s *mail.Settings) { s.ReplyTo = "a@x.example\r\nBcc: b@x.example" },
		"reply_to,":  func(s *mail.Settings) { s.ReplyTo = "\"Ava\r\nBcc: b\" <a@x.example>" },
	} {
		wrong := s
		change(&wrong)
		if err := m.Save(t.Context(), "s1", wrong, nil); !errors.As(err, new(*pg.BadParam)) {
			t.Errorf("%s is kept: %+v (%v)", name, wrong, err)
		}
	}
	s.FromName, s.ReplyTo = "Ävä — “Store” 👋", "ava@x.example"
	if err := m.Save(t.Context(), "s1", s, nil); err != nil {
		t.Error(err)
	}
}
