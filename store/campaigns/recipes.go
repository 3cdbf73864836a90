package campaigns

import "slices"

// Recipe is a campaign that works as it is: switched on by one click, each a sentence with numbers that can be changed.
type Recipe struct {
	Name     string // names it in addresses
	Label    string
	Why      string // what it is good for
	Campaign        // what it makes
	Product  bool   // its goal asks for a product
	TagName  string // of its steps that put or take a tag: made if there is none
}

func mailing(key string, wait Wait, subject, body string) Step {
	return Step{Key: key, Wait: wait, Do: DoMail, Mail: &Text{Subject: subject, Body: body}}
}

func days(n int) Wait  { return Wait(n) * Wait(day) }
func hours(n int) Wait { return Wait(n) * Wait(day) / 24 }

// when makes a step conditional.
func (st Step) when(t Test) Step {
	st.If = &t
	return st
}

// Recipes are all of them. Each has a turn of its own: first what is about money or a date, then other service, then
// marketing, and last what can wait longest.
var Recipes = []Recipe{
	{
		Name: "not_started", Label: "Not started",
		Why: "The first lesson is the hardest. A kind reminder brings people back while they still know why they came.",
		Campaign: Campaign{
			Class: Service, Trigger: Trigger{Question: "not_started", Numbers: map[string]int{"days": 7}},
			Goal: &Test{Fact: "started"}, Within: days(14), Priority: 3,
			Steps: []Step{
				mailing("first", 0, "{course} is waiting for you", `Hi {first_name},

some days ago you enrolled in **{course}**. You have not started yet, and that is fine: life gets in the way.

The first lesson is short. You can take it today:

[Start the first lesson]({link})

If something does not work, just answer this mail. I read every answer.

{store}`),
				mailing("second", days(7), "Ten minutes for {course}", `Hi {first_name},

just one more note about **{course}**, then I will not remind you again.

Most people who finish a course begin with ten minutes on one evening. Here is where you start:

[Open {course}]({link})

Is it the wrong course, or the wrong time? Answer this mail and tell me. It helps me to make it better.

{store}`),
			},
		},
	},
	{
		Name: "stuck", Label: "Stuck",
		Why: "People who stop in the middle rarely say so. Ask them what is in the way.",
		Campaign: Campaign{
			Class: Service, Trigger: Trigger{Question: "stuck", Numbers: map[string]int{"days": 14, "times": 2}},
			Goal: &Test{Fact: "progressed"}, Within: days(14), Priority: 4,
			Steps: []Step{
				mailing("ask", 0, "Where are you in {course}?", `Hi {first_name},

you have made a start with **{course}**, and then it went quiet. That happens to most of us.

Your place is kept. You can go on where you stopped:

[Go on with {course}]({link})

Is there a lesson that does not make sense? Answer this mail and tell me which one. I will help you.

{store}`),
				{Key: "tag", Wait: days(14), Do: DoTag},
			},
			OnGoal: []Step{{Key: "untag", Do: DoUntag}},
		},
		TagName: "Stuck",
	},
	{
		Name: "finished", Label: "Finished, and what comes next",
		Why: "Those who finish a course are your happiest customers. Show them the next one.",
		Campaign: Campaign{
			Class: Marketing, Trigger: Trigger{Question: "completed", Numbers: map[string]int{"days": 1}},
			Goal: &Test{Fact: "has"}, Within: days(30), Priority: 6,
			Steps: []Step{
				mailing("next", 0, "You finished {course}. Well done!", `Hi {first_name},

you have finished **{course}**. Well done! Few people get that far.

If you want to go on, this is what I would take next:

[See what comes next]({link})

And if you have a minute: what did you like, and what was missing? Just answer this mail.

{store}`),
			},
		},
		Product: true,
	},
	{
		Name: "payment_failed", Label: "Payment failed",
		Why: "Most failed payments are expired cards. People fix them if they know, and if it takes one click.",
		Campaign: Campaign{
			Class: Service, Trigger: Trigger{Question: "payment_failed", Numbers: map[string]int{"hours": 0}},
			Goal: &Test{Fact: "paid"}, NotAfter: days(7), Within: days(14),
			Steps: []Step{
				mailing("first", 0, "Your payment for {product} did not go through", `Hi {first_name},

we tried to charge your card for **{product}**, and it did not work. Often a card has expired, or the bank was careful.

You keep your access for now. Please check your card here:

[Pay or change your card]({link})

If you have paid meanwhile, there is nothing to do.

{store}`),
				mailing("second", days(3), "Please check your card for {product}", `Hi {first_name},

the payment for **{product}** is still open. It takes a minute to fix:

[Pay or change your card]({link})

Is something wrong with the invoice? Answer this mail, and we will sort it out.

{store}`),
				mailing("last", days(4), "Last note before {product} ends", `Hi {first_name},

we still could not charge your card for **{product}**. Without a payment your access will end soon.

[Keep my access]({link})

If you want to stop, you need not do anything. Thank you for having been with us.

{store}`),
			},
		},
	},
	{
		Name: "win_back", Label: "Win back",
		Why: "Some who leave only needed a break. Ask once, kindly, and once more a month later.",
		Campaign: Campaign{
			Class: Marketing, Trigger: Trigger{Question: "unsubscribed", Numbers: map[string]int{"days": 7}},
			Goal: &Test{Fact: "subscribed"}, Within: days(30), Priority: 7,
			Steps: []Step{
				mailing("ask", 0, "What could we have done better?", `Hi {first_name},

your subscription to **{product}** has ended. Thank you for the time that you were with us.

What made you leave? One sentence is enough. Just answer this mail: I read every answer.

If it was only a break, you can come back at any time:

[Come back]({link})

{store}`),
				mailing("back", days(30), "What is new since you left", `Hi {first_name},

it has been a while since you left **{product}**. Things have changed since then, and you may like some of them.

[See what is new]({link})

This is the last mail about it. I wish you all the best.

{store}`),
			},
		},
	},
	{
		Name: "silent", Label: "Silent",
		Why: "People who have not been seen for a month are about to forget you. One mail finds those who only lost the way.",
		Campaign: Campaign{
			Class: Marketing, Trigger: Trigger{Question: "silent", Numbers: map[string]int{"days": 30}},
			Goal: &Test{Fact: "back"}, Within: days(90), Priority: 9,
			Steps: []Step{
				mailing("miss", 0, "We have not seen you for a while", `Hi {first_name},

you have not been at **{store}** for a while. Is everything all right?

All your courses are still there, at the place where you stopped:

[Go on]({link})

If you need help, or if you miss something, just answer this mail.

{store}`),
				{Key: "tag", Wait: days(14), Do: DoTag},
			},
			OnGoal: []Step{{Key: "untag", Do: DoUntag}},
		},
		TagName: "Dormant",
	},
	{
		Name: "free", Label: "Free course, bought nothing",
		Why: "Those who liked what you gave away are the most likely to buy.",
		Campaign: Campaign{
			Class: Marketing, Trigger: Trigger{Question: "free", Numbers: map[string]int{"days": 14}},
			Goal: &Test{Fact: "paying"}, Within: days(30), Priority: 8,
			Steps: []Step{
				mailing("offer", 0, "How did you like {course}?", `Hi {first_name},

you have been with **{course}** for a while. How do you like it so far?

If you want to go deeper, have a look at what else there is:

[See all courses]({link})

Not sure which one fits? Answer this mail and tell me what you want to learn. I will tell you honestly.

{store}`),
				mailing("again", days(7), "One question about {course}", `Hi {first_name},

what would you like to be able to do a month from now?

If one of these helps you to get there, I would be glad to have you in it:

[See all courses]({link})

{store}`),
			},
		},
	},
	{
		Name: "left_checkout", Label: "Left at checkout",
		Why: "They wanted it enough to type in their address. A link to where they stopped is all that many need.",
		Campaign: Campaign{
			Class: Marketing, Trigger: Trigger{Question: "left_checkout", Numbers: map[string]int{"hours": 1}},
			Goal: &Test{Fact: "bought_it"}, Within: days(7), Priority: 5,
			Steps: []Step{
				mailing("first", 0, "You left something behind", `Hi {first_name},

you were about to buy **{product}**, and then something got in between. Your order is still there:

[Go back to my order]({link})

Did something not work? Answer this mail, and we will help.

{store}`),
				mailing("second", hours(23), "Your order for {product} is still open", `Hi {first_name},

your order for **{product}** is kept for some more days:

[Go back to my order]({link})

If you have changed your mind, that is fine. There will be no more mails about it.

{store}`),
			},
		},
	},
	{
		Name: "welcome", Label: "Welcome",
		Why: "Good beginnings make good endings: say hello, and look after those who have not started after three days.",
		Campaign: Campaign{
			Class: Service, Trigger: Trigger{Question: "enrolled", Numbers: map[string]int{"days": 0}},
			Goal: &Test{Fact: "progress", Number: 20}, Within: days(14), Priority: 2,
			Steps: []Step{
				mailing("hello", 0, "Welcome to {course}", `Hi {first_name},

welcome to **{course}**! I am glad that you are here.

This is where it starts:

[Open {course}]({link})

A tip: put two half hours into your calendar for this week. That is enough to get going.

If you have a question, answer this mail.

{store}`),
				mailing("start", days(3), "Shall we start with {course}?", `Hi {first_name},

you have not opened **{course}** yet. The first lesson takes only a few minutes:

[Start the first lesson]({link})

{store}`).when(Test{Fact: "started", Not: true}),
			},
		},
	},
	{
		Name: "renewal", Label: "Renewal ahead",
		Why: "A reminder before a yearly charge is fair, and saves you disputes and refunds.",
		Campaign: Campaign{
			Class: Service, Trigger: Trigger{Question: "renewal", Numbers: map[string]int{"days": 14}}, Priority: 1,
			Steps: []Step{
				mailing("ahead", 0, "{product} renews soon", `Hi {first_name},

your yearly subscription to **{product}** will renew soon. You need not do anything to keep it.

If your card has changed, or if you want to stop, you can do so here:

[My subscription]({link})

Thank you for being with us.

{store}`),
			},
		},
	},
}

// RecipeNamed is the recipe with a name; nil: there is none.
func RecipeNamed(name string) *Recipe {
	i := slices.IndexFunc(Recipes, func(r Recipe) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return &Recipes[i]
}
