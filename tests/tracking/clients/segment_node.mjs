// A visit and a purchase, sent by npm's @segment/analytics-node: HOST KEY.
import { Analytics } from "@segment/analytics-node";

const [host, writeKey] = process.argv.slice(2);
const analytics = new Analytics({ host, writeKey, maxRetries: 5 });
analytics.on("error", (error) => { console.error(error); process.exitCode = 1; });
const user = { userId: "u-1" };
analytics.page({ anonymousId: "device-1", name: "Prices", properties: { path: "/prices" } });
analytics.identify({ ...user, anonymousId: "device-1", traits: { firstName: "Alice", email: "alice@example.com", plan: "gold" } });
analytics.track({ ...user, event: "Purchase", properties: { total: 12.5 }, messageId: "purchase-1" });
analytics.track({ ...user, event: "Purchase", properties: { total: 12.5 }, messageId: "purchase-1" });
analytics.group({ ...user, groupId: "acme", traits: { name: "Acme" } });
analytics.screen({ ...user, name: "Cart" });
analytics.track({ userId: "u-0", event: "Opened" });
analytics.alias({ ...user, previousId: "u-0" });
await analytics.closeAndFlush();
