package creators

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	storemail "rollcall/store/mail"
	"rollcall/store/pg"
	"rollcall/web/core"
)

// mailSettings is the part of settings.html about mail.
type mailSettings struct {
	storemail.Settings
	Lacks    []string
	Hours    map[string]string // quiet_from and quiet_to, as typed
	Numbers  map[string]string // cap_day, cap_week and daily_limit, as typed
	WarmUp   string            // warm_up_from, as typed
	Tracking []core.Option
}

// trackings are what mails may say of their readers.
var trackings = []core.Option{
	{Value: "off", Label: "Off: links are as you write them"},
	{Value: "counted", Label: "Counted: how often links are followed, without persons"},
	{Value: "identified", Label: "Identified: who followed it, of those who agreed to that"},
}

// mailSettings reads the part about mail, unless a form filled it in.
func (s *Pages) mailSettings(r *http.Request, page *settingsPage) (err error) {
	id, mails := r.PathValue("store"), s.mails()
	if page.Mail == nil {
		page.Mail = &mailSettings{}
		if page.Mail.Settings, _, err = mails.Settings(r.Context(), id); err != nil {
			return err
		}
		page.Mail.written()
	}
	page.Mail.Tracking = core.Menu{Options: trackings}.Choose(page.Mail.Settings.Tracking).Options
	page.Mail.Lacks, err = s.lacks(r, page.IsAdmin)
	return err
}

// written writes the numbers as the form has them.
func (m *mailSettings) written() {
	text := func(n *int) string {
		if n == nil {
			return ""
		}
		return strconv.Itoa(*n)
	}
	m.Hours = map[string]string{"quiet_from": text(m.QuietFrom), "quiet_to": text(m.QuietTo)}
	m.Numbers = map[string]string{"cap_day": text(m.CapDay), "cap_week": text(m.CapWeek),
		"daily_limit": text(m.DailyLimit)}
	if m.WarmUpFrom != nil {
		m.WarmUp = m.WarmUpFrom.Format(time.DateOnly)
	}
}

// readMail reads the form.
func readMail(form url.Values, old storemail.Settings) (m mailSettings, err error) {
	m.Settings = old
	m.FromName, m.ReplyTo = strings.TrimSpace(form.Get("from_name")), strings.TrimSpace(form.Get("reply_to"))
	m.PostalAddress = strings.TrimSpace(strings.ReplaceAll(form.Get("postal_address"), "\r\n", "\n"))
	m.HomeURL, m.CourseURL = strings.TrimSpace(form.Get("home_url")), strings.TrimSpace(form.Get("course_url"))
	m.Settings.Tracking = cmp.Or(form.Get("tracking"), old.Tracking)
	m.Hours, m.Numbers = map[string]string{}, map[string]string{}
	for _, field := range []struct {
		name string
		to   **int
		kept map[string]string
	}{{"quiet_from", &m.QuietFrom, m.Hours}, {"quiet_to", &m.QuietTo, m.Hours}, {"cap_day", &m.CapDay, m.Numbers},
		{"cap_week", &m.CapWeek, m.Numbers}, {"daily_limit", &m.DailyLimit, m.Numbers}} {
		text := strings.TrimSpace(form.Get(field.name))
		field.kept[field.name], *field.to = text, nil
		if text == "" {
			continue
		}
		n, wrong := strconv.Atoi(text)
		if wrong != nil && err == nil {
			err = pg.Refuse(field.name, "must be a whole number")
		}
		*field.to = &n
	}
	m.WarmUp, m.WarmUpFrom = strings.TrimSpace(form.Get("warm_up_from")), nil
	if m.WarmUp != "" {
		day, wrong := time.Parse(time.DateOnly, m.WarmUp)
		if wrong != nil && err == nil {
			err = pg.Refuse("warm_up_from", "must be a day, as 2026-01-31")
		}
		m.WarmUpFrom = &day
	}
	m.SoftOptIn = form.Has("soft_opt_in")
	return m, err
}

// MailSettingsForm handles the form of mail on the page of settings.
func (s *Pages) MailSettingsForm(w http.ResponseWriter, r *http.Request) error {
	page, err := s.changing(w, r)
	if err != nil {
		return err
	}
	mails := s.mails()
	old, _, err := mails.Settings(r.Context(), r.PathValue("store"))
	if err != nil {
		return err
	}
	form, err := readMail(r.PostForm, old)
	if err == nil {
		err = s.campaigns().SaveSettings(r.Context(), r.PathValue("store"), form.Settings)
	}
	if err == nil && page.IsAdmin { // only operators may
		err = mails.AllowSoftOptIn(r.Context(), r.PathValue("store"), form.SoftOptIn)
	}
	if page.Mail = &form; page.refused(err) {
		return s.showSettings(w, r, page)
	}
	if err == nil {
		http.Redirect(w, r, page.URL+"?saved=1#mail", http.StatusSeeOther)
	}
	return err
}
