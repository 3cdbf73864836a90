package main

import (
	"fmt"
	"time"

	"rollcall/store/campaigns"
	storemail "rollcall/store/mail"
)

// demoStore is the store whose pages the demo names.
const demoStore = "store_aurora"

// demoRecipes are the campaigns that it has at work.
var demoRecipes = []string{"welcome", "stuck"}

// startMail has a store of the demo mail its customers, also for what they did before. Its workers keep the mails in
// the mailbox.
func (d *dev) startMail(e *env) error {
	s, err := e.openAt(d.at.database)
	if err != nil {
		return err
	}
	defer s.Close()
	all, mails := campaigns.New(s), storemail.New(s, nil)
	settings := storemail.Defaults()
	settings.PostalAddress, settings.ReplyTo = "Aurora Academy, 1 High Street, Springfield", "hello@aurora.example"
	settings.HomeURL, settings.CourseURL = "https://aurora.example", "https://aurora.example/courses/{course}"
	settings.QuietFrom, settings.QuietTo = nil, nil // the demo may be tried at night
	if err := mails.Save(e, demoStore, settings, nil); err != nil {
		return err
	}
	for _, recipe := range demoRecipes {
		c, err := all.Make(e, demoStore, campaigns.FromRecipe{Recipe: recipe}, "admin")
		if err != nil {
			return err
		}
		order, now := campaigns.Order{To: campaigns.On, Past: "all"}, time.Now()
		reach, err := all.Reach(e, demoStore, c.ID, order, now)
		if err != nil {
			return err
		}
		order.Count = &reach
		if _, err := all.Switch(e, demoStore, c.ID, order, now); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(e.out, "\n%d campaigns of Aurora Academy write to its customers. Their mails are in the "+
		"mailbox.\n", len(demoRecipes))
	return err
}
