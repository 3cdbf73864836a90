package main

import (
	"strings"
	"testing"
)

// A list of recipients that names no one stops the start: it would mean all.
func TestMailAllowedNamesSomeone(t *testing.T) {
	t.Parallel()
	for _, list := range []string{"", ",", " , "} {
		c := Config{MailAllowed: &list}
		if err := c.checkMail(); err == nil || !strings.HasPrefix(err.Error(), "MAIL_ALLOWED names no one") {
			t.Errorf("%q: %v", list, err)
		}
	}
	list := "ann@x.example, @y.example"
	c := Config{MailAllowed: &list}
	all, err := c.mailAllowed()
	if err != nil || c.checkMail() != nil || all.Allow("bob@x.example") || !all.Allow("bob@y.example") {
		t.Errorf("%v, %v, %v", all, err, c.checkMail())
	}
	if all, err = (&Config{}).mailAllowed(); err != nil || all != nil || (&Config{}).checkMail() != nil {
		t.Errorf("without it: %v, %v", all, err)
	}
}
