package customers

import (
	"slices"

	"rollcall/store/pg"
)

// anyOf adds the choice of all values.
func anyOf(choices []pg.Choice, label string) []pg.Choice {
	return append(pg.Choices("", label), choices...)
}

// Params are the filters. To add one, add it to Filter and here. Each is short for a part
// of a rule. One with a Label has a menu on pages.
func (f *Filter) Params() []pg.Param {
	return slices.Concat([]pg.Param{
		{Name: "type", Value: &f.Type, On: "customer.type", Multi: true, Schema: "CustomerType",
			Choices: anyOf(types, "All"),
			Label:   "Type", Doc: "Only customers of this type.", Example: "paying"},
		{Name: "status", Value: &f.Status, On: "customer.status", Multi: true, Schema: "CustomerStatus",
			Choices: anyOf(statuses, "Any"),
			Label:   "Status", Doc: "Only customers with this status.", Example: "active"},
		{Name: "source", Value: &f.Source, On: "customer.source", Multi: true, Choices: anyOf(sources, "Any"),
			Label: "Source", Doc: "Only customers who came from this source.", Example: "free_course"},
		{Name: "country", Value: &f.Country, Kind: Country, On: "customer.country", Multi: true,
			Label: "Country", Doc: "Only customers whose newest payment was billed to this country.", Example: "NO"},
	}, f.courseParams(), f.moneyParams(), f.mailParams(), f.labelParams(), f.timeParams())
}

func (f *Filter) courseParams() []pg.Param {
	return []pg.Param{
		{Name: "course", Value: &f.Course, Kind: CourseID, On: "enrollment.course", Multi: true, Group: "course",
			Label: "Enrolled in", Doc: "Only customers enrolled in the course with this id.", Example: "course_1"},
		{Name: "completed", Value: &f.Completed, On: "enrollment.completed", Group: "course",
			Choices: anyOf(yesOrNo, "Any"), Label: "… and completed it", Chip: "Completed",
			Doc:     "Only customers who have completed, or not completed, the course given by `course`, or any course.",
			Example: "yes"},
		{Name: "progress_min", Value: &f.ProgressMin, Kind: Percent, On: "enrollment.progress_min", Group: "course",
			Unit: "%", Label: "… progress at least, %", Chip: "Progress at least",
			Doc: "Minimum progress in the course given by `course`, or in any course, in percent.", Example: 50},
		{Name: "progress_max", Value: &f.ProgressMax, Kind: Percent, On: "enrollment.progress_max", Group: "course",
			Unit: "%", Label: "… progress at most, %", Chip: "Progress at most",
			Doc: "Maximum progress in the same course, in percent.", Example: 99.5},
		{Name: "not_course", Value: &f.NotCourse, Kind: CourseID, On: "enrollment.course", None: true, Multi: true,
			Label: "Not enrolled in", Doc: "Only customers not enrolled in the course with this id.", Example: "course_2"},
	}
}

func (f *Filter) moneyParams() []pg.Param {
	return []pg.Param{
		{Name: "product", Value: &f.Product, Kind: ProductID, On: "product.id", Multi: true,
			Label: "Bought", Doc: "Only customers who bought, or subscribed to, the product with this id.",
			Example: "beat_pack"},
		{Name: "not_product", Value: &f.NotProduct, Kind: ProductID, On: "product.id", None: true, Multi: true,
			Label: "Not bought", Doc: "Only customers who did not buy, or subscribe to, the product with this id.",
			Example: "beat_pack"},
		{Name: "spent_min", Value: &f.SpentMin, Kind: Amount, On: "spent.min", Group: "spent",
			Label: "Spent at least", Doc: "Minimum spend in any one currency, in its major unit.", Example: "99.50"},
		{Name: "spent_max", Value: &f.SpentMax, Kind: Amount, On: "spent.max", Group: "spent",
			Label: "Spent at most", Doc: "Maximum spend in every currency, in its major unit.", Example: "500"},
		{Name: "purchases_min", Value: &f.PurchasesMin, Kind: Count, On: "purchase.times_min", Group: "purchases",
			Label: "Purchases, at least", Doc: "Minimum number of one-time purchases.", Example: 2},
		{Name: "purchases_max", Value: &f.PurchasesMax, Kind: Count, On: "purchase.times_max", Group: "purchases",
			Label: "Purchases, at most", Doc: "Maximum number of one-time purchases; 0: none.", Example: 1},
		{Name: "refunded", Value: &f.Refunded, On: "customer.refunded", Choices: anyOf(yesOrNo, "Any"),
			Label: "Refunded", Doc: "Only customers who got, or never got, money back.", Example: "yes"},
		{Name: "disputed", Value: &f.Disputed, On: "customer.disputed", Choices: anyOf(yesOrNo, "Any"),
			Label: "Disputed", Doc: "Only customers who took, or never took, a payment back by a dispute.", Example: "yes"},
		{Name: "subscription", Value: &f.Subscription, On: "subscription.status", Multi: true,
			Choices: anyOf(subscriptionStates, "Any"),
			Label:   "Subscription", Doc: "Only customers with a subscription in this state.", Example: "past_due"},
	}
}

func (f *Filter) mailParams() []pg.Param {
	return []pg.Param{
		{Name: "engagement", Value: &f.Engagement, On: "engagement.state", Multi: true, Choices: anyOf(engagements, "Any"),
			Label: "Engagement", Doc: "Only customers who are engaged like this now.", Example: "slipping"},
		{Name: "can_mail", Value: &f.CanMail, On: "can_mail.is", Choices: anyOf(yesOrNo, "Any"),
			Label: "May get marketing mail", Doc: "Only customers who may, or may not, get marketing mail now.",
			Example: "yes"},
		{Name: "mail", Value: &f.MailWas, On: "mail.was", Multi: true, Group: "mail", Choices: anyOf(mailed, "Any"),
			Label: "Mail", Doc: "Only customers with a mail of which this became.", Example: "clicked"},
		{Name: "mail_campaign", Value: &f.MailCampaign, Kind: CampaignID, On: "mail.campaign", Multi: true, Group: "mail",
			Label: "… of the campaign", Chip: "Mail of the campaign",
			Doc: "Only customers with a mail of the campaign with this id.", Example: "camp_4k2mcv5x7h"},
		{Name: "mail_after", Value: &f.MailAfter, Kind: pg.Moment, On: "mail.after", Group: "mail",
			Label: "… in the last", Chip: "Mail in the last",
			Doc: "Only customers with such a mail at this time or later.", Example: "30d"},
	}
}

func (f *Filter) labelParams() []pg.Param {
	return []pg.Param{
		{Name: "tag", Value: &f.Tag, Kind: TagID, On: "tag.id", Multi: true,
			Label: "Tagged", Doc: "Only customers with the tag with this id.", Example: "tag_4k2mcv5x7h"},
		{Name: "not_tag", Value: &f.NotTag, Kind: TagID, On: "tag.id", None: true, Multi: true,
			Label: "Not tagged", Doc: "Only customers without the tag with this id.", Example: "tag_4k2mcv5x7h"},
		{Name: "has_note", Value: &f.Note, On: "customer.note", Choices: anyOf(yesOrNo, "Any"),
			Label: "Has a note", Doc: "Only customers with, or without, a note.", Example: "yes"},
		{Name: "email_domain", Value: &f.EmailDomain, Kind: Domain, On: "customer.email_domain", Multi: true,
			Label: "Email at", Doc: "Only customers with an address at this domain.", Example: "example.com"},
		{Name: "segment", Value: &f.Segment, Kind: SegmentID, On: "segment.id",
			Label: "In the segment", Doc: "Only customers in the segment with this id.", Example: "seg_7h2mcv5x4k"},
		{Name: "rule", Value: &f.Rule, Kind: RuleText, On: "rule.json",
			Doc:     "Only customers who meet this rule: a JSON tree of conditions, see Rules in docs/api.md.",
			Example: `{"none": [{"tag": "tag_4k2mcv5x7h"}]}`},
	}
}

func (f *Filter) timeParams() []pg.Param {
	return []pg.Param{
		{Name: "first_seen_after", Value: &f.FirstSeenAfter, Kind: pg.Moment, On: "customer.first_seen_after",
			Group: "first_seen",
			Label: "Joined in the last", Doc: "Only customers first seen at this time or later.", Example: "30d"},
		{Name: "first_seen_before", Value: &f.FirstSeenBefore, Kind: pg.Moment, On: "customer.first_seen_before",
			Group: "first_seen",
			Label: "Joined longer ago than", Doc: "Only customers first seen before this time.", Example: "2026-01-31"},
		{Name: "last_activity_after", Value: &f.LastActivityAfter, Kind: pg.Moment, On: "customer.last_activity_after",
			Group: "last_activity",
			Label: "Active in the last", Doc: "Only customers active at this time or later.", Example: "2026-01-31T10:00:00Z"},
		{Name: "last_activity_before", Value: &f.LastActivityBefore, Kind: pg.Moment, On: "customer.last_activity_before",
			Group: "last_activity",
			Label: "Inactive for", Doc: "Only customers not active since this time.", Example: "6w"},
		{Name: "q", Value: &f.Query, Kind: pg.Search, On: "customer.q",
			Doc: "Only customers with all these words in their name and email, or in the title of one course or product. " +
				"Words are separated by white space, commas or semicolons, and may be in any order. Part of a word is enough. " +
				"Case, accents and kinds of apostrophes, quotation marks, hyphens and white space do not matter.",
			Example: "doe"},
	}
}
