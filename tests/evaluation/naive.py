"""The protocols once more as plain loops, one box at a time: what the whole-column code is held to."""

import math


def iou(a, b):
    common = intersection(a, b)
    return 0.0 if common == 0 else common / (area(a) + area(b) - common)


def ioa(detections, region):
    common = intersection(detections, region)
    return 0.0 if common == 0 else common / area(detections)


def intersection(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0.0


def area(box):
    return box[4] if len(box) > 4 else (box[2] - box[0]) * (box[3] - box[1])


def box_of(row):
    return tuple(row[c] for c in ("x1", "y1", "x2", "y2"))


def in_turn(rows):
    """Detections by falling score, of equal ones by image, then as they stand."""
    return sorted(rows, key=lambda row: (-row["score"], row["image_id"]))


def visible(row, kind):
    full, occluded = box_of(row), row["occluded"]
    if kind == "flag":
        return 0.5 if (occluded or 0) > 0 else 1.0
    share = 1.0 if occluded is None else 1 - occluded
    share = share if row["vis_ratio"] is None else row["vis_ratio"]
    if row["vis_x1"] is not None:
        seen = tuple(row[c] for c in ("vis_x1", "vis_y1", "vis_x2", "vis_y2"))
        share = area(seen) / area(full) if area(full) > 0 else 0.0
    return math.inf if kind == "unhidden_is_infinite" and share >= 1 else share


def within(value, span):
    from_low = span.low < value if span.above else span.low <= value
    return from_low and (value < span.high if span.below else value <= span.high)


def off_aspect(row):
    height = row["y2"] - row["y1"]
    return abs((row["x2"] - row["x1"]) / height - 0.41) if height > 0 else math.inf


def widened(box, aspect):
    """The box and its area: of the sides that were set, as the toolbox has it, not of those between rounded corners."""
    height, width = box[3] - box[1], (box[3] - box[1]) * aspect
    left = box[0] + (box[2] - box[0] - width) / 2
    return (left, box[1], left + width, box[3], width * height)


def clipped(box, image, clip):
    if clip == "none":
        return box
    width, height = image["width"], image["height"]
    cut = [min(max(v, 0.0), m) for v, m in zip(box, (width, height, width, height), strict=True)]
    if clip == "start_inside":
        cut[:2] = [min(cut[0], width - 1), min(cut[1], height - 1)]
    return tuple(cut)


def miss_rate(table, detections, protocol, bounds, category_id):
    """The log-average miss rate of one class in one subset; None without an object."""
    labels, n_objects = [], 0  # (score, image, is tp)
    names = dict(table.categories.select("category_id", "name").iter_rows())
    others = [n.lower() for n in protocol.neighbours.get(names[category_id], ())]
    near = {i for i, name in names.items() if name.lower() in others}
    for image in table.images.sort("image_id").to_dicts():
        truth = []  # (box as object, box as region, is object, is iou region)
        for row in table.boxes.to_dicts():
            if row["image_id"] != image["image_id"]:
                continue
            tolerated = row["category_id"] in near
            if row["category_id"] not in (category_id, None) and not tolerated:
                continue
            own_name = names.get(row["category_id"], "").lower()
            if row["ignore_reason"] in protocol.discarded.get(own_name, ()):
                continue
            ignored = row["ignore"] and row["ignore_reason"] not in protocol.counted.get(own_name, ())
            box = clipped(box_of(row), image, protocol.clip)
            values = {
                "height": box[3] - box[1] if protocol.clip == "image" else row["y2"] - row["y1"],
                "visible": visible(row, protocol.visible),
                "occluded": row["occluded"] or 0.0,
                "truncated": row["truncated"] or 0.0,
                "off_aspect": off_aspect(row),
            }
            wanted = not (ignored or row["iscrowd"] or tolerated)
            wanted = wanted and all(within(values[c], span) for c, span in bounds.items())
            if protocol.margin is not None:
                low, right, bottom = protocol.margin - 1, *(image[s] - protocol.margin - 1 for s in ("width", "height"))
                wanted = wanted and row["x1"] >= low and row["y1"] >= low and row["x2"] <= right and row["y2"] <= bottom
            as_object = widened(box, protocol.aspect) if protocol.aspect else box
            by_iou = protocol.ignored_by_iou and not row["iscrowd"] and row["category_id"] is not None
            truth.append((as_object, box, wanted, by_iou))
        n_objects += sum(t[2] for t in truth)
        labels += match_image(detections, protocol, bounds, image, truth, category_id)
    if not n_objects:
        return None
    labels.sort(key=lambda label: (-label[0], label[1]))
    return read_curve([is_tp for _, _, is_tp in labels], n_objects, table.images.height, protocol)


def match_image(detections, protocol, bounds, image, truth, category_id):
    key = (image["image_id"], category_id)
    rows = [r for r in detections.rows.to_dicts() if (r["image_id"], r["category_id"]) == key]
    labels, taken = [], set()
    for row in in_turn(rows)[: protocol.max_detections]:
        box = clipped(box_of(row), image, protocol.clip)
        if "height" in bounds:
            height, low = box[3] - box[1], bounds["height"].low / protocol.expand
            tall = height > low if protocol.above_lowest else height >= low
            if not tall or height >= bounds["height"].high * protocol.expand:
                continue
        if protocol.aspect:
            box = widened(box, protocol.aspect)

        def enough(overlap):
            return overlap > protocol.overlap if protocol.strictly else overlap >= protocol.overlap

        best = None
        for index, (as_object, _, wanted, _) in enumerate(truth):
            overlap = iou(box, as_object)
            if wanted and index not in taken and enough(overlap):
                better = best is None or overlap > best[0] or (overlap == best[0] and not protocol.strictly)
                best = (overlap, index) if better else best
        if best is not None:
            taken.add(best[1])
        elif any(
            not wanted and enough(iou(box, as_object) if by_iou else ioa(box, region))
            for as_object, region, wanted, by_iou in truth
        ):
            continue
        labels.append((row["score"], row["image_id"], best is not None))
    return labels


def read_curve(tp, n_objects, n_images, protocol):
    points, n_tp = [], 0
    for index, is_tp in enumerate(tp, start=1):
        n_tp += is_tp
        points.append(((index - n_tp) / n_images, n_tp / n_objects))
    logs = []
    for reference in protocol.fppi:
        if protocol.read_at == "first_from":
            reached = [recall for fppi, recall in points if fppi >= reference][:1] or [r for _, r in points][-1:]
        else:
            reached = [recall for fppi, recall in points if fppi <= reference][-1:]
        logs.append(math.log(max(1e-10, 1 - (reached[0] if reached else 0.0))))
    return math.exp(sum(logs) / len(logs))


def voc(table, detections, category_id):
    """The (score, is tp) of the detections that count, and how many objects there are."""
    truth = [r for r in table.boxes.to_dicts() if r["category_id"] in (category_id, None)]
    n_objects = sum(not (r["ignore"] or r["iscrowd"] or r["difficult"]) for r in truth)
    tp, taken = [], set()
    for row in in_turn([r for r in detections.rows.to_dicts() if r["category_id"] == category_id]):
        best, at = -1.0, None
        for index, other in enumerate(truth):
            is_region = (other["ignore"] or other["iscrowd"]) and not other["difficult"]
            overlap = iou(box_of(row), box_of(other))
            if other["image_id"] == row["image_id"] and not is_region and overlap > best:
                best, at = overlap, index
        near = at is not None and best >= 0.5
        if near and truth[at]["difficult"]:
            continue
        if near and at not in taken:
            taken.add(at)
            tp.append(True)
        elif not any(
            r["image_id"] == row["image_id"]
            and (r["ignore"] or r["iscrowd"])
            and not r["difficult"]
            and ioa(box_of(row), box_of(r)) >= 0.5
            for r in truth
        ):
            tp.append(False)
    return tp, n_objects


def kitti(table, detections, name, level, overlap):
    """The 41 precisions of a class at a level (least height, occlusion, truncation), object by object."""
    ids = {n: i for i, n in table.categories.select("category_id", "name").iter_rows()}
    near = ids.get({"Car": "Van", "Pedestrian": "Person_sitting"}.get(name))
    frames = []
    for image_id in table.images["image_id"]:
        rows = [r for r in table.boxes.to_dicts() if r["image_id"] == image_id]
        truth, areas = [], []  # (box, is wanted)
        for r in rows:
            if r["category_id"] is None or (r["category_id"] in (ids[name], near) and r["iscrowd"]):
                areas.append(box_of(r))
            elif r["category_id"] in (ids[name], near):
                lost = (
                    r["y2"] - r["y1"] < level[0] or r["occlusion_level"] > level[1] or (r["truncated"] or 0) > level[2]
                )
                truth.append((box_of(r), r["category_id"] == ids[name] and not lost and not r["ignore"]))
        dets = [
            (
                box_of(r),
                r["score"],
                1 if int(r["y2"] - r["y1"]) < level[0] else 0 if r["category_id"] == ids[name] else -1,
            )
            for r in detections.rows.to_dicts()
            if r["image_id"] == image_id
        ]
        frames.append((truth, [d for d in dets if d[2] >= 0], areas))
    n_objects = sum(wanted for truth, _, _ in frames for _, wanted in truth)
    if not n_objects:
        return None
    scores = sorted((s for frame in frames for s in _kitti_frame(*frame, overlap, None)[0]), reverse=True)
    thresholds, recall = [], 0.0
    for i in range(len(scores)):
        left = (i + 1) / n_objects
        right = (i + 2) / n_objects if i < len(scores) - 1 else left
        if right - recall < recall - left and i < len(scores) - 1:
            continue
        thresholds.append(scores[i])
        recall += 1 / 40
    precision = [0.0] * 41
    for i, threshold in enumerate(thresholds):
        counts = [_kitti_frame(*frame, overlap, threshold) for frame in frames]
        tp, fp = sum(len(c[0]) for c in counts), sum(c[1] for c in counts)
        precision[i] = tp / (tp + fp) if tp + fp else 0.0
    return [max(precision[i:]) for i in range(41)]


def _kitti_frame(truth, dets, areas, overlap, threshold):
    """The scores of the tp and the number of fp; `threshold` None is the pass that asks for scores."""
    used = set()
    tp = []
    for box, wanted in truth:
        chosen, best, is_small = None, -1.0, False
        for j, (other, score, kind) in enumerate(dets):
            if j in used or (threshold is not None and score < threshold) or iou(other, box) <= overlap:
                continue
            if threshold is None:
                if score > best:
                    chosen, best = j, score
            elif kind == 0 and (is_small or iou(other, box) > best):
                chosen, best, is_small = j, iou(other, box), False
            elif kind == 1 and chosen is None:
                chosen, is_small = j, True
        if chosen is None:
            continue
        used.add(chosen)
        if wanted and dets[chosen][2] == 0:
            tp.append(dets[chosen][1])
    fp = [
        other
        for j, (other, score, kind) in enumerate(dets)
        if kind == 0 and j not in used and threshold is not None and score >= threshold
    ]
    return tp, sum(not any(ioa(other, region) > overlap for region in areas) for other in fp)


def tt100k(table, detections, iou_threshold, score_threshold, low, high):
    """Right detections, remaining detections, remaining objects."""
    right = n_detections = n_objects = 0

    def long_side(row):
        return max(row["x2"] - row["x1"], row["y2"] - row["y1"])

    for image_id in table.images["image_id"]:
        rows = [r for r in table.boxes.to_dicts() if r["image_id"] == image_id]
        truth = [r for r in rows if not (r["ignore"] or r["iscrowd"])]
        regions = [r for r in rows if r["ignore"] or r["iscrowd"]]
        dets = [r for r in detections.rows.to_dicts() if r["image_id"] == image_id and r["score"] >= score_threshold]
        pairs = [
            (iou(box_of(g), box_of(d)), i, j)
            for i, g in enumerate(truth)
            for j, d in enumerate(dets)
            if g["category_id"] == d["category_id"] and iou(box_of(g), box_of(d)) > iou_threshold
        ]
        of_truth, of_det = {}, {}
        for _, i, j in sorted(pairs, key=lambda pair: -pair[0]):
            if i not in of_truth and j not in of_det:
                of_truth[i], of_det[j] = j, i
        for i, g in enumerate(truth):
            if low <= long_side(g) < high:
                n_objects += 1
                right += i in of_truth
                n_detections += i in of_truth
        for j, d in enumerate(dets):
            covered = any(
                r["category_id"] in (None, d["category_id"]) and ioa(box_of(d), box_of(r)) >= 0.5 for r in regions
            )
            n_detections += j not in of_det and not covered and low <= long_side(d) < high
    return right, n_detections, n_objects
