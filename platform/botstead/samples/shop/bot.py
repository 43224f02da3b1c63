"""A small shop: shows goods, takes payments, keeps the buyer's orders, and gives money back."""

from typing import Any

from botstead import Bot, Button, Chat, Conversation, Declined, Money, Payment, money

bot = Bot("shop")

CURRENCY = "EUR"
GOODS = {
    "mug": ("A mug", "12.50"),
    "tea": ("Green tea, 100 g", "6.90"),
    "sticker": ("A sticker", "1.00"),
}
MOST_ORDERS = 50
"""Orders that are remembered of one conversation; of more, the oldest are forgotten."""
TEST = "testpay"
"""The provider of payments in which no money moves: the bot has no payment account of its own yet."""


@bot.command("goods")
async def goods(chat: Chat) -> None:
    """Show what there is."""
    rows = [[Button(f"{title}, {money(price, CURRENCY)}", f"buy:{item}")] for item, (title, price) in GOODS.items()]
    chat.send("What would you like?", buttons=rows)


@bot.on.message
async def anything(chat: Chat) -> None:
    """Show the goods to whoever says something else."""
    await goods(chat)


@bot.command("buy <item>")
async def buy(item: str, chat: Chat, conversation: Conversation) -> None:
    """Order something."""
    if item.casefold() not in GOODS:
        raise Declined(f"I do not sell that. I have {', '.join(GOODS)}.")
    title, price = GOODS[item.casefold()]
    number = _new_order(conversation, item.casefold())
    chat.pay(price, CURRENCY, title, reference=f"order:{number}", text=f"Order {number}: {title}, {money(price, CURRENCY)}.")


@bot.on.button("buy:<item>")
async def press_buy(item: str, chat: Chat, conversation: Conversation) -> None:
    """Order what the button says."""
    await buy(item, chat, conversation)


@bot.command("orders")
async def orders(conversation: Conversation) -> str:
    """List your orders."""
    lines = [f"{number}: {GOODS[order['item']][0]}, {order['state']}" for number, order in _orders(conversation).items()]
    return "\n".join(lines) or "You have ordered nothing yet. Write goods to see what there is."


@bot.command("refund <number>")
async def refund(number: int, chat: Chat, conversation: Conversation) -> str:
    """Get your money back for an order."""
    order = _orders(conversation).get(str(number))
    if order is None:
        raise Declined(f"You have no order {number}. Write orders to see yours.")
    if order["state"] != "paid":
        raise Declined(f"Order {number} is {order['state']}, so there is nothing to give back.")
    chat.refund(order["payment"])
    return f"I give the money for order {number} back. I will tell you when it is done."


@bot.on.payment("paid", reference="order:<number>")
async def paid(number: str, payment: Payment, conversation: Conversation) -> str:
    """Confirm the order: the provider has the money."""
    order = _orders(conversation).get(number)
    if order is not None:
        order.update(state="paid", payment=payment.id)
    thanks = f"Thank you! Order {number} is paid: {payment.title}, {payment.money}. To get your money back: refund {number}"
    return f"{thanks}{_test(payment)}"


@bot.on.payment("refunded", reference="order:<number>")
async def refunded(number: str, payment: Payment, conversation: Conversation) -> str:
    """Tell that the money is on its way back."""
    order = _orders(conversation).get(number)
    if order is not None and payment.refunded == payment.amount:
        order["state"] = "refunded"
    return f"{Money(payment.refunded, payment.currency)} of order {number} went back to you.{_test(payment)}"


@bot.on.payment(reference="order:<number>")
async def not_paid(number: str, payment: Payment, chat: Chat, conversation: Conversation) -> None:
    """Tell that a payment failed, or that its page has closed."""
    order = _orders(conversation).get(number, {})
    order["state"] = str(payment.state)
    again = [Button("Try again", f"buy:{order['item']}")] if "item" in order else []
    chat.send(f"Order {number} was not paid, and nothing was charged.{_test(payment)}", buttons=again)


def _orders(conversation: Conversation) -> dict[str, dict[str, Any]]:
    """Return the orders of this conversation by number."""
    kept: dict[str, dict[str, Any]] = conversation.state.setdefault("orders", {})
    return kept


def _new_order(conversation: Conversation, item: str) -> int:
    number: int = conversation.state.get("last", 0) + 1
    conversation.state["last"] = number
    kept = _orders(conversation)
    kept[str(number)] = {"item": item, "state": "not paid yet"}
    while len(kept) > MOST_ORDERS:
        del kept[next(iter(kept))]
    return number


def _test(payment: Payment) -> str:
    return "\n\nThis was a test payment: no money has moved." if payment.provider == TEST else ""
