// Opens the site in Chromium as a person would, from its folder, and says what was seen: one JSON object a line.
// Usage: node browser.mjs FOLDER PROGRAM
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [folder, program] = process.argv.slice(2);
const address = (place) => `${pathToFileURL(folder)}/${place}`;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const say = (what, seen) => console.log(JSON.stringify({ what, ...seen }));

const browser = await chromium.launch({
  executablePath: program,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

// All that a page complains of, and all that it asks for outside of its folder.
function watched(page) {
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => request.url().startsWith(address("")) || complaints.push(`asked for ${request.url()}`));
  return complaints;
}

async function visit(what, options, steps) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const complaints = watched(page);
  try {
    say(what, { ...(await steps(page)), complaints });
  } finally {
    await context.close();
  }
}

const texts = (page, selector) => page.locator(selector).allInnerTexts();

await visit("search", {}, async (page) => {
  await page.goto(address("index.html"));
  await page.fill("main input[type=search]", "mistral workflow_execute");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#results li");
  const first = (await texts(page, "#results li a"))[0];
  await page.click("#results li a");
  await page.waitForSelector("h1");
  return {
    first,
    heading: await page.innerText("h1"),
    chips: await texts(page, ".chips .chip"),
    headings: await texts(page, "h2"),
    rule: await page.locator("pre.policy, .rule pre").first().innerText().catch(() => ""),
    place: page.url().slice(address("").length),
  };
});

await visit("filters", {}, async (page) => {
  await page.goto(address("classes.html"));
  await page.keyboard.press("/");
  await page.keyboard.type("order");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#results li");
  await page.check("input[value=Financial]");
  await page.waitForSelector("#results li");
  const classes = new Set(await texts(page, "#results [class*=class-]"));
  await page.fill("#q", "zzzz");
  const none = await page.innerText("#found");
  await page.goto(address("servers.html"));
  const all = await page.locator("tbody tr:visible").count();
  await page.fill(".filter", "gitlab");
  const some = await texts(page, "tbody tr:visible td:first-child");
  return { classes: [...classes], none, all, some };
});

await visit("links", {}, async (page) => {
  await page.goto(address("index.html"));
  const trail = [];
  for (const link of ["nav >> text=Servers", "text=kestra >> nth=0", "#tools >> xpath=.. >> text=execute_flow >> nth=0", ".chips a >> nth=0"]) {
    await page.click(link);
    await page.waitForSelector("h1");
    trail.push(await page.innerText("h1"));
  }
  await page.goBack();
  trail.push(await page.innerText("h1"));
  return { trail };
});

await visit("attacks", {}, async (page) => {
  await page.goto(address("index.html"));
  await page.click("nav >> text=Attacks");
  const listed = await page.locator("tbody tr").count();
  await page.click("tbody tr a >> nth=0");
  await page.waitForSelector("h1");
  return { listed, headings: await texts(page, "h2") };
});

await visit("hidden text", {}, async (page) => {
  await page.goto(address("tools/lark/im_v1_message_list.html"));
  return { marks: await texts(page, ".unseen") };
});

await visit("without scripts", { javaScriptEnabled: false }, async (page) => {
  await page.goto(address("servers/mistral.html"));
  return { rows: await page.locator("tbody tr").count(), heading: await page.innerText("h1") };
});

const PAGES = ["index.html", "servers.html", "classes.html", "risks.html", "attacks.html", "search.html", "servers/kestra.html", "tools/kestra/execute_flow.html"];

for (const colorScheme of ["light", "dark"]) {
  await visit(`access, ${colorScheme}`, { colorScheme }, async (page) => {
    const violations = [];
    for (const place of PAGES) {
      await page.goto(address(place));
      await page.evaluate(axe);
      const found = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"], preload: false }));
      for (const violation of found.violations) {
        violations.push(`${place}: ${violation.id}: ${violation.help}: ${violation.nodes[0]?.html.slice(0, 120)}`);
      }
    }
    return { violations };
  });
}

await visit("narrow", { viewport: { width: 360, height: 700 } }, async (page) => {
  const wide = [];
  for (const place of PAGES) {
    await page.goto(address(place));
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    if (width > 360) wide.push(`${place}: ${width}`);
  }
  return { wide };
});

await browser.close();
